// Attachments as resources of their own (contract 3.27), as compute uses them.
import { Type } from 'typebox';
import { hasRole } from '../../../services/caller.ts';
import { type ApiDeps, nativePaths, type ProjectCall, type ProjectRoute } from '../../route.ts';
import {
  ATTACHMENT_SORT_KEYS,
  AttachmentActionBody,
  AttachmentBody,
  AttachmentListQuery,
  AttachmentSummary,
  CreateAttachmentBody,
  checkAttachmentAction,
  checkAttachmentId,
  checkCreateAttachment,
  checkUpdateAttachment,
  isCompleteAtOnce,
  parseAttachmentFilter,
  UpdateAttachmentBody,
} from '../../schemas/attachments.ts';
import { Links } from '../../schemas/common.ts';
import { parseListPage } from '../../schemas/list-query.ts';
import { viewAttachment, viewAttachmentSummary } from '../../views/attachment-view.ts';
import { viewPage } from '../../views/page-view.ts';

type Attachments = ApiDeps['attachments'];

const TAG = 'attachments';
const ACCESS = { kind: 'project', minVersion: 27 } as const;
const One = Type.Object({ attachment: AttachmentBody });

export function attachmentRoutes({ attachments }: ApiDeps): ProjectRoute[] {
  return [...readingRoutes(attachments), ...changingRoutes(attachments)];
}

function readingRoutes(attachments: Attachments): ProjectRoute[] {
  const list = (summary: string, View: typeof AttachmentBody | typeof AttachmentSummary) => ({
    summary,
    tag: TAG,
    query: AttachmentListQuery,
    ok: {
      status: 200,
      schema: Type.Object({ attachments: Type.Array(View), attachments_links: Type.Optional(Links) }),
    },
  });
  return [
    {
      method: 'GET',
      paths: nativePaths('/attachments', 'v3'),
      access: ACCESS,
      doc: list('List attachments', AttachmentSummary),
      handle: (call) => listAttachments(attachments, call, viewAttachmentSummary),
    },
    {
      method: 'GET',
      paths: nativePaths('/attachments/detail', 'v3'),
      access: ACCESS,
      doc: list('List attachments with details', AttachmentBody),
      handle: (call) => listAttachments(attachments, call, viewAttachment),
    },
    {
      method: 'GET',
      paths: nativePaths('/attachments/:attachment_id', 'v3'),
      access: ACCESS,
      doc: { summary: 'Show an attachment', tag: TAG, ok: { status: 200, schema: One } },
      handle: async ({ caller, projectId, param }) => {
        const attachmentId = checkAttachmentId(param('attachment_id'));
        const { attachment, connection } = await attachments.getAttachment(caller, projectId, attachmentId);
        return { attachment: viewAttachment(attachment, connection) };
      },
    },
  ];
}

async function listAttachments(
  attachments: Attachments,
  { caller, projectId, query, request, origin }: ProjectCall,
  view: (attachment: Parameters<typeof viewAttachment>[0]) => Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const page = parseListPage(query, ATTACHMENT_SORT_KEYS);
  const filter = parseAttachmentFilter(query, hasRole(caller, 'admin'));
  return viewPage({
    collection: 'attachments',
    result: await attachments.listAttachments(caller, projectId, filter, page),
    limit: page.limit,
    withCount: false,
    origin,
    url: request.url,
    idOf: ({ attachmentId }) => attachmentId,
    view: (attachment) => view(attachment),
  });
}

function changingRoutes(attachments: Attachments): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: nativePaths('/attachments', 'v3'),
      access: ACCESS,
      doc: {
        summary: 'Reserve a volume for a server, or attach it',
        tag: TAG,
        body: CreateAttachmentBody,
        ok: { status: 200, schema: One },
      },
      handle: async ({ caller, projectId, body, version }) => {
        const input = checkCreateAttachment(body, version);
        const { attachment, connection } = await attachments.createAttachment(caller, projectId, input);
        return { attachment: viewAttachment(attachment, connection) };
      },
    },
    {
      method: 'PUT',
      paths: nativePaths('/attachments/:attachment_id', 'v3'),
      access: ACCESS,
      doc: {
        summary: 'Say which host attaches',
        tag: TAG,
        body: UpdateAttachmentBody,
        ok: { status: 200, schema: One },
      },
      handle: async ({ caller, projectId, body, version, param }) => {
        const attachmentId = checkAttachmentId(param('attachment_id'));
        const input = { connector: checkUpdateAttachment(body), isComplete: isCompleteAtOnce(version) };
        const updated = await attachments.updateAttachment(caller, projectId, attachmentId, input);
        return { attachment: viewAttachment(updated.attachment, updated.connection) };
      },
    },
    {
      method: 'POST',
      paths: nativePaths('/attachments/:attachment_id/action', 'v3'),
      access: { kind: 'project', minVersion: 44 },
      doc: {
        summary: 'Complete an attachment: the server has the disk',
        tag: TAG,
        body: AttachmentActionBody,
        ok: { status: 204 },
      },
      handle: async ({ caller, projectId, body, param }) => {
        checkAttachmentAction(body);
        await attachments.completeAttachment(caller, projectId, checkAttachmentId(param('attachment_id')));
      },
    },
    {
      method: 'DELETE',
      paths: nativePaths('/attachments/:attachment_id', 'v3'),
      access: ACCESS,
      doc: {
        summary: 'End an attachment; answers those that the volume still has',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ attachments: Type.Array(AttachmentSummary) }) },
      },
      handle: async ({ caller, projectId, param }) => {
        const attachmentId = checkAttachmentId(param('attachment_id'));
        const left = await attachments.deleteAttachment(caller, projectId, attachmentId);
        return { attachments: left.map(viewAttachmentSummary) };
      },
    },
  ];
}
