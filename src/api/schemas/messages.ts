// What a message is (contract 3.27).
import { Type } from 'typebox';
import { Links, NativeTime, Uuid } from './common.ts';

export const MessageBody = Type.Object(
  {
    id: Uuid,
    event_id: Type.String({ examples: ['VOLUME_VOLUME_BACKUP_013_001'] }),
    user_message: Type.String(),
    message_level: Type.Literal('ERROR'),
    created_at: NativeTime,
    guaranteed_until: NativeTime,
    request_id: Type.String({ description: 'Names the job' }),
    resource_uuid: Type.String(),
    resource_type: Type.String({ examples: ['VOLUME', 'VOLUME_SNAPSHOT', 'VOLUME_BACKUP'] }),
    links: Links,
  },
  { $id: 'Message' },
);
