// Messages about what failed after it had been accepted (contract 3.27; 3.3, paging 3.5).
import { Type } from 'typebox';
import { VbsError } from '../../../core/errors.ts';
import { type MessageId, parseUuid } from '../../../core/ids.ts';
import type { MessageSortKey } from '../../../services/list-page.ts';
import { type ApiDeps, nativePaths, type ProjectRoute } from '../../route.ts';
import { Links, PageQuery } from '../../schemas/common.ts';
import { parseListPage, queryText, type SortKeys } from '../../schemas/list-query.ts';
import { MessageBody } from '../../schemas/messages.ts';
import { dropUndefined } from '../../schemas/parse.ts';
import { parseEventId, viewMessage } from '../../views/message-view.ts';
import { viewPage } from '../../views/page-view.ts';

const TAG = 'messages';
const ACCESS = { kind: 'project', minVersion: 3 } as const;
const PAGING_VERSION = 5;

const SORT_KEYS: SortKeys<MessageSortKey> = {
  id: 'id',
  created_at: 'createdAt',
  event_id: 'event',
  resource_type: 'resourceType',
  resource_uuid: 'resourceId',
  message_level: null,
};

export function messageRoutes({ messages }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'GET',
      paths: nativePaths('/messages', 'v3'),
      access: ACCESS,
      doc: {
        summary: 'List messages about failures',
        tag: TAG,
        query: Type.Object({
          ...PageQuery,
          event_id: Type.Optional(Type.String()),
          resource_type: Type.Optional(Type.String()),
          resource_uuid: Type.Optional(Type.String()),
        }),
        ok: {
          status: 200,
          schema: Type.Object({ messages: Type.Array(MessageBody), messages_links: Type.Optional(Links) }),
        },
      },
      handle: async ({ caller, projectId, query, version, links, origin, request }) => {
        const asked = version >= PAGING_VERSION ? query : {};
        const page = parseListPage(asked, SORT_KEYS);
        const filter = dropUndefined({
          event: parseEventId(queryText(asked, 'event_id')),
          resourceType: queryText(asked, 'resource_type')?.toUpperCase(),
          resourceId: queryText(asked, 'resource_uuid'),
        });
        return viewPage({
          collection: 'messages',
          result: await messages.listMessages(caller, projectId, filter, page),
          limit: page.limit,
          withCount: false,
          origin,
          url: request.url,
          idOf: ({ messageId }) => messageId,
          view: (message) => viewMessage(message, links),
        });
      },
    },
    {
      method: 'GET',
      paths: nativePaths('/messages/:message_id', 'v3'),
      access: ACCESS,
      doc: {
        summary: 'Show a message',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ message: MessageBody }) },
      },
      handle: async ({ caller, projectId, links, param }) => {
        const messageId = checkMessageId(param('message_id'));
        return { message: viewMessage(await messages.getMessage(caller, projectId, messageId), links) };
      },
    },
    {
      method: 'DELETE',
      paths: nativePaths('/messages/:message_id', 'v3'),
      access: ACCESS,
      doc: { summary: 'Delete a message', tag: TAG, ok: { status: 204 } },
      handle: ({ caller, projectId, param }) =>
        messages.deleteMessage(caller, projectId, checkMessageId(param('message_id'))),
    },
  ];
}

/** @throws MESSAGE_NOT_FOUND */
function checkMessageId(text: string): MessageId {
  const messageId = parseUuid<MessageId>(text);
  if (messageId === undefined) throw new VbsError('MESSAGE_NOT_FOUND', { messageId: text.slice(0, 64) });
  return messageId;
}
