// Tags of policies and of backups, and the search by them: the same calls below each collection, with the rules and
// codes of its family (contract 3.16 and 3.17).
import type { Tag } from '../../../core/model.ts';
import type { TagChange, TagSearch, TagValues } from '../../../core/tag-search.ts';
import type { OffsetPage } from '../../../services/policy-requests.ts';
import type { ApiDeps, ProjectCall, ProjectRoute } from '../../route.ts';
import { checkTaggedBackupId } from '../../schemas/cloudbackups.ts';
import type { ParsedBody } from '../../schemas/parse.ts';
import { checkPolicyId, checkQueriedPolicyId } from '../../schemas/policies.ts';
import {
  checkBackupSearch,
  checkPolicySearch,
  TagSearchBody,
  type TagSearchRequest,
  TagSearchResult,
} from '../../schemas/tag-search.ts';
import {
  checkBackupTag,
  checkBackupTagAction,
  checkPolicyTag,
  checkPolicyTagAction,
  TagActionBody,
  TagBody,
  TagList,
  TagValueList,
} from '../../schemas/tags.ts';
import { viewFound, viewTag } from '../../views/policy-view.ts';

type Found = { readonly id: string; readonly name: string | null; readonly tags: readonly Tag[] };

/** What the calls do for one kind of resource. */
type Tagged = {
  /** `/v2/:project_id/<collection>` */
  readonly base: string;
  readonly idParam: string;
  readonly tag: string;
  readonly word: string;
  readonly checkTag: (body: ParsedBody) => Tag;
  readonly checkAction: (body: ParsedBody) => TagChange;
  readonly checkSearch: (body: ParsedBody) => TagSearchRequest;
  readonly listAll: (call: ProjectCall) => Promise<readonly TagValues[]>;
  readonly list: (call: ProjectCall) => Promise<readonly Tag[]>;
  readonly set: (call: ProjectCall, tag: Tag) => Promise<void>;
  readonly remove: (call: ProjectCall, key: string) => Promise<void>;
  readonly change: (call: ProjectCall, change: TagChange) => Promise<void>;
  readonly find: (
    call: ProjectCall,
    search: TagSearch,
    page: OffsetPage,
  ) => Promise<{ readonly items: readonly Found[]; readonly totalCount: number }>;
};

export function tagRoutes(deps: ApiDeps): ProjectRoute[] {
  return [policyTags(deps), backupTags(deps)].flatMap((tagged) => [...changeRoutes(tagged), ...readRoutes(tagged)]);
}

function policyTags({ policies }: ApiDeps): Tagged {
  const idOf = ({ param }: ProjectCall) => checkPolicyId(param('policy_id'));
  return {
    base: '/v2/:project_id/backuppolicy',
    idParam: ':policy_id',
    tag: 'policies',
    word: 'policy',
    checkTag: checkPolicyTag,
    checkAction: checkPolicyTagAction,
    checkSearch: checkPolicySearch,
    listAll: ({ caller, projectId }) => policies.listProjectTags(caller, projectId),
    list: ({ caller, projectId, param }) =>
      policies.listTags(caller, projectId, checkQueriedPolicyId(param('policy_id'))),
    set: (call, tag) => policies.setTag(call.caller, call.projectId, idOf(call), tag),
    remove: (call, key) => policies.removeTag(call.caller, call.projectId, idOf(call), key),
    change: (call, change) => policies.changeTags(call.caller, call.projectId, idOf(call), change),
    find: async ({ caller, projectId }, search, page) => {
      const { items, totalCount } = await policies.findPolicies(caller, projectId, search, page);
      return { items: items.map(({ policyId, name, tags }) => ({ id: policyId, name, tags })), totalCount };
    },
  };
}

function backupTags({ backupTags: service }: ApiDeps): Tagged {
  const idOf = ({ param }: ProjectCall) => checkTaggedBackupId(param('backup_id'));
  return {
    base: '/v2/:project_id/cloudbackups',
    idParam: ':backup_id',
    tag: 'cloudbackups',
    word: 'backup',
    checkTag: checkBackupTag,
    checkAction: checkBackupTagAction,
    checkSearch: checkBackupSearch,
    listAll: ({ caller, projectId }) => service.listProjectTags(caller, projectId),
    list: (call) => service.listTags(call.caller, call.projectId, idOf(call)),
    set: (call, tag) => service.setTag(call.caller, call.projectId, idOf(call), tag),
    remove: (call, key) => service.removeTag(call.caller, call.projectId, idOf(call), key),
    change: (call, change) => service.changeTags(call.caller, call.projectId, idOf(call), change),
    find: async ({ caller, projectId }, search, page) => {
      const { items, totalCount } = await service.findBackups(caller, projectId, search, page);
      return { items: items.map(({ backupId, name, tags }) => ({ id: backupId, name, tags })), totalCount };
    },
  };
}

function readRoutes({ base, idParam, tag, word, ...does }: Tagged): ProjectRoute[] {
  return [
    {
      method: 'GET',
      paths: [`${base}/tags`],
      access: { kind: 'project' },
      doc: { summary: `List all tags that a ${word} has`, tag, ok: { status: 200, schema: TagValueList } },
      handle: async (call) => {
        const tags = await does.listAll(call);
        return { tags: tags.map(({ key, values }) => ({ key, values })) };
      },
    },
    {
      method: 'GET',
      paths: [`${base}/${idParam}/tags`],
      access: { kind: 'project' },
      doc: { summary: `List the tags of a ${word}`, tag, ok: { status: 200, schema: TagList } },
      handle: async (call) => ({ tags: (await does.list(call)).map(viewTag) }),
    },
    {
      method: 'POST',
      paths: [`${base}/resource_instances/action`],
      // It changes nothing, yet only GETs are for readers (contract 1.5).
      access: { kind: 'project' },
      doc: {
        summary: `Find by tags, or count, each ${word}`,
        tag,
        body: TagSearchBody,
        ok: { status: 200, schema: TagSearchResult },
      },
      handle: async (call) => {
        const { search, page } = does.checkSearch(call.body);
        const { items, totalCount } = await does.find(call, search, page ?? { limit: 0, offset: 0 });
        if (page === undefined) return { total_count: totalCount };
        return { total_count: totalCount, resources: items.map(({ id, name, tags }) => viewFound(id, name, tags)) };
      },
    },
  ];
}

function changeRoutes({ base, idParam, tag, word, ...does }: Tagged): ProjectRoute[] {
  const one = `${base}/${idParam}/tags`;
  return [
    {
      method: 'POST',
      paths: [one],
      access: { kind: 'project' },
      doc: { summary: `Add a tag to a ${word}, or replace its value`, tag, body: TagBody, ok: { status: 204 } },
      handle: (call) => does.set(call, does.checkTag(call.body)),
    },
    {
      method: 'DELETE',
      paths: [`${one}/:key`],
      access: { kind: 'project' },
      doc: { summary: `Remove a tag of a ${word}`, tag, ok: { status: 204 } },
      handle: (call) => does.remove(call, call.param('key')),
    },
    {
      method: 'POST',
      paths: [`${one}/action`],
      access: { kind: 'project' },
      doc: { summary: `Add, replace or remove tags of a ${word}`, tag, body: TagActionBody, ok: { status: 204 } },
      handle: (call) => does.change(call, does.checkAction(call.body)),
    },
  ];
}
