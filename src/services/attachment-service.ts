// Attachments: what compute tells about the servers that use volumes. Two dialects of the same states: the actions on
// a volume (reserve, attach, begin_detaching, detach), and attachments as resources of their own (3.27).
import { VbsError } from '../core/errors.ts';
import { type AttachmentId, newUuid, type ProjectId, type VolumeId } from '../core/ids.ts';
import type { Attachment, Volume } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import {
  type AttachMode,
  chooseAttachment,
  isDecidedByAttachments,
  planMode,
  requireReservable,
  requireStatus,
  requireUndisturbed,
  statusByAttachments,
} from './attachment-rules.ts';
import { authorize, type Caller, hasRole } from './caller.ts';
import type { AttachmentPage, ListResult } from './list-page.ts';
import { findVolumeOwner, requireVolume } from './subjects.ts';
import {
  type ConnectionDeps,
  type ConnectionInfo,
  type Connector,
  connectVolume,
  requireReachable,
} from './volume-connection.ts';

export type AttachInput = {
  readonly serverId: string | null;
  readonly hostName: string | null;
  readonly device: string;
  readonly mode: AttachMode | null;
};

export type CreateAttachmentInput = {
  readonly volumeId: VolumeId;
  readonly serverId: string | null;
  readonly mode: AttachMode | null;
  /** Null only reserves the volume. */
  readonly connector: Connector | null;
  /** Before 3.44 an attachment with a connector counts as attached at once. */
  readonly isComplete: boolean;
};

export type AttachmentListFilter = {
  readonly volumeId?: string;
  readonly serverId?: string;
  readonly status?: string;
  readonly allProjects?: boolean;
  readonly projectId?: ProjectId;
};

/** `connection` is null until a connector was given. */
export type AttachmentView = { readonly attachment: Attachment; readonly connection: ConnectionInfo | null };

export type AttachmentServiceDeps = ConnectionDeps & { readonly catalog: Catalog; readonly clock: Clock };

type Work = (volume: Volume, records: CatalogRecords, existing: readonly Attachment[]) => Promise<void>;

export class AttachmentService {
  readonly #deps: AttachmentServiceDeps;

  constructor(deps: AttachmentServiceDeps) {
    this.#deps = deps;
  }

  /** `available` becomes `attaching`: nobody else can attach it. @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS */
  async reserveVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId): Promise<void> {
    await this.#change(caller, projectId, volumeId, async (volume, records) => {
      requireStatus(volume, 'available');
      await this.#setStatus(records, volumeId, 'attaching');
    });
  }

  /** Takes `reserveVolume` back; harmless when there is nothing to take back. @throws VOLUME_NOT_FOUND */
  async unreserveVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId): Promise<void> {
    await this.#change(caller, projectId, volumeId, async (volume, records, existing) => {
      if (volume.status !== 'attaching') return;
      await this.#setStatus(records, volumeId, statusByAttachments(existing));
    });
  }

  /** The volume is `in-use` from now on. @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS, VOLUME_READONLY */
  async attachVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId, input: AttachInput): Promise<void> {
    await this.#change(caller, projectId, volumeId, async (volume, records) => {
      requireStatus(volume, 'available', 'attaching');
      const now = this.#deps.clock.now();
      await records.attachments.insert({
        ...input,
        attachmentId: newUuid<AttachmentId>(),
        volumeId,
        projectId: volume.projectId,
        mode: planMode(volume, input.mode),
        status: 'attached',
        connector: null,
        createdAt: now,
        attachedAt: now,
      });
      await this.#setInUse(records, volume);
    });
  }

  /** @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS */
  async beginDetaching(caller: Caller, projectId: ProjectId, volumeId: VolumeId): Promise<void> {
    await this.#change(caller, projectId, volumeId, async (volume, records) => {
      requireStatus(volume, 'in-use');
      await this.#setStatus(records, volumeId, 'detaching');
    });
  }

  /** Takes `beginDetaching` back; harmless when there is nothing to take back. @throws VOLUME_NOT_FOUND */
  async rollDetaching(caller: Caller, projectId: ProjectId, volumeId: VolumeId): Promise<void> {
    await this.#change(caller, projectId, volumeId, async (volume, records) => {
      if (volume.status === 'detaching') await this.#setStatus(records, volumeId, 'in-use');
    });
  }

  /**
   * Ends an attachment; the volume is `available` after its last one. `isForced` is for admins and asks for no state.
   * @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS, ATTACHMENT_NOT_FOUND, REQUEST_FIELD_INVALID
   */
  async detachVolume(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    { attachmentId, isForced }: { readonly attachmentId: string | null; readonly isForced: boolean },
  ): Promise<void> {
    const role = isForced ? 'admin' : 'member';
    const work: Work = async (volume, records, existing) => {
      const attachment = chooseAttachment(existing, attachmentId);
      if (!isForced) requireStatus(volume, 'in-use', 'detaching', 'attaching', 'reserved', 'available');
      await this.#end(records, volume, existing, attachment);
    };
    await this.#change(caller, projectId, volumeId, work, role);
  }

  /** @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS, VOLUME_HOST_UNREACHABLE, VOLUME_UNAVAILABLE */
  async initializeConnection(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    connector: Connector,
  ): Promise<ConnectionInfo> {
    authorize(caller, projectId, 'member');
    const { catalog } = this.#deps;
    const ownerId = await findVolumeOwner(catalog, caller, projectId, volumeId);
    const volume = await requireVolume(catalog, ownerId, volumeId);
    return await connectVolume(this.#deps, volume, connector, planMode(volume, null));
  }

  /** @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS, VOLUME_READONLY, VOLUME_HOST_UNREACHABLE */
  async createAttachment(caller: Caller, projectId: ProjectId, input: CreateAttachmentInput): Promise<AttachmentView> {
    authorize(caller, projectId, 'member');
    const { volumeId, serverId, connector } = input;
    const { catalog, clock, hostName } = this.#deps;
    if (connector !== null) requireReachable(hostName, connector);
    const attachmentId = newUuid<AttachmentId>();
    await catalog.transact(projectId, async (records) => {
      const volume = await requireVolume(records, projectId, volumeId);
      const existing = await records.attachments.listOfVolumes([volumeId]);
      requireReservable(volume, existing, serverId);
      const mode = planMode(volume, input.mode);
      const createdAt = clock.now();
      const isComplete = connector !== null && input.isComplete;
      const status = isComplete ? 'attached' : connector === null ? 'reserved' : 'attaching';
      await records.attachments.insert({
        ...{ attachmentId, volumeId, projectId, serverId, connector, mode, status, createdAt },
        ...describeHost(connector),
        attachedAt: isComplete ? createdAt : null,
      });
      if (isComplete) await this.#setInUse(records, volume);
      else await this.#setStatus(records, volumeId, statusByAttachments([...existing, { status }]));
    });
    return await this.getAttachment(caller, projectId, attachmentId);
  }

  /** Says which host attaches. @throws ATTACHMENT_NOT_FOUND, ATTACHMENT_STATE_FORBIDS, VOLUME_HOST_UNREACHABLE */
  async updateAttachment(
    caller: Caller,
    projectId: ProjectId,
    attachmentId: AttachmentId,
    input: { readonly connector: Connector; readonly isComplete: boolean },
  ): Promise<AttachmentView> {
    requireReachable(this.#deps.hostName, input.connector);
    await this.#changeAttachment(caller, projectId, attachmentId, async (attachment, volume, records) => {
      const { status } = attachment;
      if (status !== 'reserved' && status !== 'attaching') {
        throw new VbsError('ATTACHMENT_STATE_FORBIDS', { attachmentId, status, required: 'reserved or attaching' });
      }
      const changes = { connector: input.connector, ...describeHost(input.connector) };
      await this.#advance(records, volume, attachment, { ...changes, isComplete: input.isComplete });
    });
    return await this.getAttachment(caller, projectId, attachmentId);
  }

  /** The server has the disk: the volume is `in-use`. @throws ATTACHMENT_NOT_FOUND, ATTACHMENT_STATE_FORBIDS */
  async completeAttachment(caller: Caller, projectId: ProjectId, attachmentId: AttachmentId): Promise<void> {
    await this.#changeAttachment(caller, projectId, attachmentId, async (attachment, volume, records) => {
      const { status } = attachment;
      if (status !== 'attaching') {
        throw new VbsError('ATTACHMENT_STATE_FORBIDS', { attachmentId, status, required: 'attaching' });
      }
      await this.#advance(records, volume, attachment, { isComplete: true });
    });
  }

  /** Answers the attachments that the volume still has. @throws ATTACHMENT_NOT_FOUND, VOLUME_STATE_FORBIDS */
  async deleteAttachment(caller: Caller, projectId: ProjectId, attachmentId: AttachmentId): Promise<Attachment[]> {
    let volumeId: VolumeId | undefined;
    await this.#changeAttachment(caller, projectId, attachmentId, async (attachment, volume, records) => {
      volumeId = volume.volumeId;
      requireUndisturbed(volume);
      const existing = await records.attachments.listOfVolumes([volumeId]);
      await this.#end(records, volume, existing, attachment);
    });
    return volumeId === undefined ? [] : await this.#deps.catalog.attachments.listOfVolumes([volumeId]);
  }

  /** @throws ATTACHMENT_NOT_FOUND */
  async getAttachment(caller: Caller, projectId: ProjectId, attachmentId: AttachmentId): Promise<AttachmentView> {
    authorize(caller, projectId, 'reader');
    const { catalog } = this.#deps;
    const attachment = await requireAttachment(catalog, projectId, attachmentId);
    const { connector, mode, volumeId } = attachment;
    if (connector === null || mode === null || !hasRole(caller, 'member')) return { attachment, connection: null };
    const volume = await requireVolume(catalog, projectId, volumeId);
    if (volume.source === '') return { attachment, connection: null };
    return { attachment, connection: await connectVolume(this.#deps, volume, connector, mode) };
  }

  /** @throws MARKER_NOT_FOUND */
  async listAttachments(
    caller: Caller,
    projectId: ProjectId,
    filter: AttachmentListFilter,
    page: AttachmentPage,
  ): Promise<ListResult<Attachment>> {
    authorize(caller, projectId, 'reader');
    const { allProjects, projectId: wantedId, ...rest } = filter;
    const isAcross = allProjects === true && hasRole(caller, 'admin');
    return await this.#deps.catalog.attachments.list({ ...rest, projectId: isAcross ? wantedId : projectId }, page);
  }

  async #change(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    work: Work,
    role: 'member' | 'admin' = 'member',
  ): Promise<void> {
    authorize(caller, projectId, role);
    const { catalog } = this.#deps;
    const ownerId = await findVolumeOwner(catalog, caller, projectId, volumeId);
    await catalog.transact(ownerId, async (records) => {
      const volume = await requireVolume(records, ownerId, volumeId);
      await work(volume, records, await records.attachments.listOfVolumes([volumeId]));
    });
  }

  async #changeAttachment(
    caller: Caller,
    projectId: ProjectId,
    attachmentId: AttachmentId,
    work: (attachment: Attachment, volume: Volume, records: CatalogRecords) => Promise<void>,
  ): Promise<void> {
    authorize(caller, projectId, 'member');
    await this.#deps.catalog.transact(projectId, async (records) => {
      const attachment = await requireAttachment(records, projectId, attachmentId);
      await work(attachment, await requireVolume(records, projectId, attachment.volumeId), records);
    });
  }

  async #advance(
    records: CatalogRecords,
    volume: Volume,
    { attachmentId }: Attachment,
    step: { readonly isComplete: boolean } & Partial<Pick<Attachment, 'connector' | 'hostName' | 'device'>>,
  ): Promise<void> {
    const { isComplete, ...changes } = step;
    const updatedAt = this.#deps.clock.now();
    const progress = isComplete
      ? ({ status: 'attached', attachedAt: updatedAt } as const)
      : ({ status: 'attaching' } as const);
    await records.attachments.update(attachmentId, { ...changes, ...progress, updatedAt });
    if (isComplete) return await this.#setInUse(records, volume);
    const existing = await records.attachments.listOfVolumes([volume.volumeId]);
    await this.#setStatus(records, volume.volumeId, statusByAttachments(existing));
  }

  async #end(
    records: CatalogRecords,
    volume: Volume,
    existing: readonly Attachment[],
    ended: Attachment | undefined,
  ): Promise<void> {
    if (ended !== undefined) await records.attachments.delete(ended.attachmentId);
    const remaining = existing.filter(
      (attachment) => attachment !== ended && attachment.attachmentId !== ended?.attachmentId,
    );
    // A backup that runs goes back to the state it found; nothing else may be shown meanwhile.
    if (!isDecidedByAttachments(volume.status)) return;
    await this.#setStatus(records, volume.volumeId, statusByAttachments(remaining));
  }

  /** From the first attachment on a volume says whether it is read-only. */
  async #setInUse(records: CatalogRecords, { volumeId, isReadonly }: Volume): Promise<void> {
    const updatedAt = this.#deps.clock.now();
    await records.volumes.update(volumeId, { status: 'in-use', isReadonly: isReadonly ?? false, updatedAt });
  }

  async #setStatus(records: CatalogRecords, volumeId: VolumeId, status: Volume['status']): Promise<void> {
    await records.volumes.update(volumeId, { status, updatedAt: this.#deps.clock.now() });
  }
}

/** @throws ATTACHMENT_NOT_FOUND */
async function requireAttachment(
  { attachments }: Pick<CatalogRecords, 'attachments'>,
  projectId: ProjectId,
  attachmentId: AttachmentId,
): Promise<Attachment> {
  const attachment = await attachments.get(projectId, attachmentId);
  if (attachment === undefined) throw new VbsError('ATTACHMENT_NOT_FOUND', { attachmentId });
  return attachment;
}

function describeHost(connector: Connector | null): Pick<Attachment, 'hostName' | 'device'> {
  const text = (key: string) => {
    const value = connector?.[key];
    return typeof value === 'string' ? value : null;
  };
  return { hostName: text('host'), device: text('mountpoint') };
}
