// Messages in Cinder's words: what was tried, and why it failed.
import { MESSAGE_KEEP_DAYS } from '../../core/limits.ts';
import type { Message } from '../../core/model.ts';
import { type LinkBase, resourceLinks } from './links.ts';
import { formatNativeTime } from './times.ts';

const DAY_MS = 24 * 3600 * 1000;

type EventWords = { readonly code: string; readonly action: string };

/** Cinder's numbers of actions, where it has one. Source: openstack/cinder, cinder/message/message_field.py. */
const EVENTS: Readonly<Record<string, EventWords>> = {
  'schedule-volume': { code: '001', action: 'schedule allocate volume' },
  'copy-volume': { code: '001', action: 'make volume from its source' },
  'delete-volume': { code: '101', action: 'delete volume' },
  'revert-volume': { code: '102', action: 'revert volume to snapshot' },
  'create-snapshot': { code: '009', action: 'create snapshot' },
  'delete-snapshot': { code: '010', action: 'delete snapshot' },
  backup: { code: '013', action: 'create backup' },
  'delete-backup': { code: '014', action: 'delete backup' },
  restore: { code: '015', action: 'restore backup' },
  'import-backup': { code: '103', action: 'import backup' },
};
const OTHER_EVENT: EventWords = { code: '999', action: 'job' };
/** "An unknown error occurred": what is known stands in the text. */
const DETAIL_CODE = '001';

export function viewMessage(message: Message, links: LinkBase): Record<string, unknown> {
  const { messageId, resourceType, jobId, requestId, createdAt } = message;
  const { code, action } = EVENTS[message.event] ?? OTHER_EVENT;
  return {
    id: messageId,
    event_id: `VOLUME_${resourceType}_${code}_${DETAIL_CODE}`,
    user_message: `${action}: ${message.detail} (${message.errorCode})`,
    message_level: 'ERROR',
    created_at: formatNativeTime(createdAt),
    guaranteed_until: formatNativeTime(createdAt + MESSAGE_KEEP_DAYS * DAY_MS),
    // Nobody asked for what a policy or the upkeep did: then it names the job.
    request_id: requestId ?? `req-${jobId ?? messageId}`,
    resource_uuid: message.resourceId,
    resource_type: resourceType,
    links: resourceLinks(links, 'messages', messageId),
  };
}

/** The event that an `event_id` of ours names; an unknown one matches nothing. */
export function parseEventId(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const code = /^VOLUME_[A-Z_]+_(\d{3})_\d{3}$/.exec(text)?.[1];
  return Object.keys(EVENTS).find((event) => EVENTS[event]?.code === code) ?? '';
}
