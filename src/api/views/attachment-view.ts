// Attachments as resources (3.27). Times that are not known are empty texts, as in Cinder.
import type { Attachment } from '../../core/model.ts';
import type { ConnectionInfo } from '../../services/volume-connection.ts';
import { formatNativeTime } from './times.ts';

export function viewAttachmentSummary(attachment: Attachment): Record<string, unknown> {
  return {
    id: attachment.attachmentId,
    status: attachment.status,
    instance: attachment.serverId,
    volume_id: attachment.volumeId,
  };
}

export function viewAttachment(
  attachment: Attachment,
  connection: ConnectionInfo | null = null,
): Record<string, unknown> {
  const { attachedAt, mode } = attachment;
  return {
    ...viewAttachmentSummary(attachment),
    attached_at: attachedAt === null ? '' : formatNativeTime(attachedAt),
    detached_at: '',
    attach_mode: mode,
    connection_info:
      connection === null
        ? {}
        : {
            driver_volume_type: connection.driverVolumeType,
            ...viewConnectionData(connection),
            attachment_id: attachment.attachmentId,
            volume_id: attachment.volumeId,
          },
  };
}

/** What os-brick and libvirt read. */
export function viewConnectionData({ devicePath, mode }: ConnectionInfo): Record<string, unknown> {
  return { device_path: devicePath, access_mode: mode, encrypted: false, qos_specs: null };
}
