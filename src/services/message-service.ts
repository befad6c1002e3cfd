// Messages about what failed after it had been accepted: read and deleted by the project that they concern.
import { VbsError } from '../core/errors.ts';
import type { MessageId, ProjectId } from '../core/ids.ts';
import type { Message } from '../core/model.ts';
import type { Catalog } from '../db/catalog.ts';
import { authorize, type Caller } from './caller.ts';
import type { ListResult, MessagePage } from './list-page.ts';

export type MessageListFilter = {
  readonly event?: string;
  readonly resourceType?: string;
  readonly resourceId?: string;
};

export class MessageService {
  readonly #catalog: Catalog;

  constructor(deps: { readonly catalog: Catalog }) {
    this.#catalog = deps.catalog;
  }

  /** @throws MARKER_NOT_FOUND */
  async listMessages(
    caller: Caller,
    projectId: ProjectId,
    filter: MessageListFilter,
    page: MessagePage,
  ): Promise<ListResult<Message>> {
    authorize(caller, projectId, 'reader');
    return await this.#catalog.messages.list({ ...filter, projectId }, page);
  }

  /** @throws MESSAGE_NOT_FOUND */
  async getMessage(caller: Caller, projectId: ProjectId, messageId: MessageId): Promise<Message> {
    authorize(caller, projectId, 'reader');
    const message = await this.#catalog.messages.get(projectId, messageId);
    if (message === undefined) throw new VbsError('MESSAGE_NOT_FOUND', { messageId });
    return message;
  }

  /** @throws MESSAGE_NOT_FOUND */
  async deleteMessage(caller: Caller, projectId: ProjectId, messageId: MessageId): Promise<void> {
    authorize(caller, projectId, 'member');
    await this.#catalog.transact(projectId, async ({ messages }) => {
      if ((await messages.get(projectId, messageId)) === undefined) {
        throw new VbsError('MESSAGE_NOT_FOUND', { messageId });
      }
      await messages.delete(messageId);
    });
  }
}
