// /v2/{project_id}/backuppolicy: policies, their runs and what retention would do (contract 3.7 to 3.13).
import type { ApiDeps, ProjectRoute } from '../../route.ts';
import {
  CreatePolicyBody,
  checkCreatePolicy,
  checkModifyPolicy,
  checkPolicyId,
  checkQueriedPolicyId,
  ModifyPolicyBody,
  PolicyBody,
  PolicyList,
  PolicyListQuery,
  PolicyReference,
  parsePolicyPage,
  parseTriedRule,
  RetentionPreviewBody,
  RetentionPreviewQuery,
} from '../../schemas/policies.ts';
import { requireNoContent } from '../../schemas/policy-body.ts';
import { parseTaskQuery, TaskList, TaskListQuery } from '../../schemas/policy-tasks.ts';
import { viewPolicy, viewRetentionPreview, viewTask } from '../../views/policy-view.ts';

const BASE = '/v2/:project_id/backuppolicy';
const ONE = `${BASE}/:policy_id`;
const TAG = 'policies';

export function policyRoutes(deps: ApiDeps): ProjectRoute[] {
  return [...policyResourceRoutes(deps), ...policyRunRoutes(deps)];
}

function policyResourceRoutes({ policies }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: [BASE],
      access: { kind: 'project' },
      doc: {
        summary: 'Create a policy',
        tag: TAG,
        body: CreatePolicyBody,
        ok: { status: 200, schema: PolicyReference },
      },
      handle: async ({ caller, projectId, body }) => {
        const input = checkCreatePolicy(body, policies.limits);
        const policy = await policies.createPolicy(caller, projectId, input);
        return { backup_policy_id: policy.policyId };
      },
    },
    {
      method: 'GET',
      paths: [BASE],
      access: { kind: 'project' },
      doc: {
        summary: 'List policies, the default policy and the oldest first',
        tag: TAG,
        query: PolicyListQuery,
        ok: { status: 200, schema: PolicyList },
      },
      handle: async ({ caller, projectId, query }) => {
        const list = await policies.listPolicies(caller, projectId, parsePolicyPage(query));
        return { backup_policies: list.map(viewPolicy) };
      },
    },
    {
      method: 'GET',
      paths: [ONE],
      access: { kind: 'project' },
      doc: { summary: 'Show a policy', tag: TAG, ok: { status: 200, schema: PolicyBody } },
      handle: async ({ caller, projectId, param }) =>
        viewPolicy(await policies.getPolicy(caller, projectId, checkQueriedPolicyId(param('policy_id')))),
    },
    {
      method: 'PUT',
      paths: [ONE],
      access: { kind: 'project' },
      doc: {
        summary: 'Modify, enable or disable a policy',
        tag: TAG,
        body: ModifyPolicyBody,
        ok: { status: 200, schema: PolicyReference },
      },
      handle: async ({ caller, projectId, param, body }) => {
        const changes = checkModifyPolicy(body, policies.limits);
        const policy = await policies.modifyPolicy(caller, projectId, checkPolicyId(param('policy_id')), changes);
        return { backup_policy_id: policy.policyId };
      },
    },
    {
      method: 'DELETE',
      paths: [ONE],
      access: { kind: 'project' },
      doc: {
        summary: 'Delete a policy',
        description: 'Its backups stay, and no retention applies to them any more.',
        tag: TAG,
        ok: { status: 204 },
      },
      handle: ({ caller, projectId, param }) =>
        policies.deletePolicy(caller, projectId, checkPolicyId(param('policy_id'))),
    },
  ];
}

function policyRunRoutes({ policies }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: [`${ONE}/action`],
      access: { kind: 'project' },
      doc: {
        summary: 'Run a policy now',
        description: 'Without body. Works for policies that are OFF too; one task a volume.',
        tag: TAG,
        ok: { status: 204 },
      },
      handle: ({ caller, projectId, param, body }) => {
        requireNoContent(body);
        return policies.runPolicy(caller, projectId, checkPolicyId(param('policy_id')));
      },
    },
    {
      method: 'GET',
      paths: [`${ONE}/backuptasks`],
      access: { kind: 'project' },
      doc: {
        summary: 'List the tasks of a policy of the last 30 days',
        tag: TAG,
        query: TaskListQuery,
        ok: { status: 200, schema: TaskList },
      },
      handle: async ({ caller, projectId, param, query }) => {
        const { filter, page } = parseTaskQuery(query);
        const policyId = checkQueriedPolicyId(param('policy_id'));
        const { items, totalCount } = await policies.listTasks(caller, projectId, policyId, filter, page);
        return { tasks: items.map(viewTask), count: totalCount };
      },
    },
    {
      method: 'GET',
      paths: [`${ONE}/retention_preview`],
      access: { kind: 'project' },
      doc: {
        summary: 'What retention would delete now, and why',
        description:
          'Extension. Deletes nothing. With query values: as if the policy had that rule. ' +
          'Policies that are OFF delete nothing whatever this says.',
        tag: TAG,
        query: RetentionPreviewQuery,
        ok: { status: 200, schema: RetentionPreviewBody },
      },
      handle: async ({ caller, projectId, param, query }) => {
        const rule = parseTriedRule(query, policies.limits);
        const policyId = checkQueriedPolicyId(param('policy_id'));
        return viewRetentionPreview(await policies.previewRetention(caller, projectId, policyId, rule));
      },
    },
  ];
}
