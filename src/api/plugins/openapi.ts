// /openapi.json: the OpenAPI 3.1 document, made from the schemas of the routes.
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { BackupActionBody } from '../schemas/backup-actions.ts';
import { BackupRecordBody } from '../schemas/backup-records.ts';
import {
  CloudBackupQuota,
  CreateCloudBackupBody,
  JobReference,
  RestoreCloudBackupBody,
} from '../schemas/cloudbackups.ts';
import { Links } from '../schemas/common.ts';
import { DIRECTORY_SCHEMAS } from '../schemas/directory.ts';
import { CatalogEntries, TokenBody, TokenRequest } from '../schemas/identity.ts';
import { JobBody } from '../schemas/jobs.ts';
import {
  CreateNativeBackupBody,
  NativeBackup,
  NativeBackupSummary,
  RestoreNativeBackupBody,
  UpdateNativeBackupBody,
} from '../schemas/native-backups.ts';
import { ERROR_SCHEMAS, referWithin } from '../schemas/openapi.ts';
import {
  CreatePolicyBody,
  ModifyPolicyBody,
  PolicyBody,
  PolicyReference,
  RetentionPreviewBody,
} from '../schemas/policies.ts';
import {
  AssociateBody,
  AssociateResult,
  DisassociateBody,
  DisassociateResult,
  PolicyVolumeList,
} from '../schemas/policy-resources.ts';
import { TaskList } from '../schemas/policy-tasks.ts';
import { NewSharing, ShareBackupBody, SharingBody } from '../schemas/sharings.ts';
import { CreateSnapshotBody, SnapshotActionBody, SnapshotBody, UpdateSnapshotBody } from '../schemas/snapshots.ts';
import { TagSearchBody, TagSearchResult } from '../schemas/tag-search.ts';
import { TagActionBody, TagBody, TagList, TagValueList } from '../schemas/tags.ts';
import { TraceBody } from '../schemas/traces.ts';
import { MetaBody, MetadataBody, VolumeActionBody } from '../schemas/volume-actions.ts';
import { VOLUME_SUPPORT_SCHEMAS } from '../schemas/volume-support.ts';
import { AdoptVolumeBody, CreateVolumeBody, UpdateVolumeBody, VolumeBody, VolumeSummary } from '../schemas/volumes.ts';

/** Everything with an `$id`: written once in the document, referred to from the routes. */
const NAMED_SCHEMAS = [
  ...ERROR_SCHEMAS,
  Links,
  CreateCloudBackupBody,
  RestoreCloudBackupBody,
  CloudBackupQuota,
  JobReference,
  JobBody,
  CreatePolicyBody,
  ModifyPolicyBody,
  PolicyReference,
  PolicyBody,
  RetentionPreviewBody,
  TaskList,
  AssociateBody,
  AssociateResult,
  DisassociateBody,
  DisassociateResult,
  PolicyVolumeList,
  TagBody,
  TagActionBody,
  TagList,
  TagValueList,
  TagSearchBody,
  TagSearchResult,
  ShareBackupBody,
  NewSharing,
  SharingBody,
  TraceBody,
  NativeBackup,
  NativeBackupSummary,
  CreateNativeBackupBody,
  RestoreNativeBackupBody,
  UpdateNativeBackupBody,
  BackupRecordBody,
  VolumeBody,
  VolumeSummary,
  CreateVolumeBody,
  UpdateVolumeBody,
  AdoptVolumeBody,
  BackupActionBody,
  VolumeActionBody,
  MetadataBody,
  MetaBody,
  TokenRequest,
  TokenBody,
  CatalogEntries,
  SnapshotBody,
  CreateSnapshotBody,
  UpdateSnapshotBody,
  SnapshotActionBody,
  ...DIRECTORY_SCHEMAS,
  ...VOLUME_SUPPORT_SCHEMAS,
];

const TAGS = [
  { name: 'cloudbackups', description: 'Backups, the VBS way: every change is a job' },
  { name: 'jobs', description: 'Durable units of work' },
  { name: 'policies', description: 'Backups that are made and deleted by a schedule' },
  { name: 'sharing', description: 'Backups shown to other projects' },
  { name: 'native backups', description: 'Backups, the OpenStack way' },
  { name: 'volumes', description: 'Volumes, the OpenStack way' },
  { name: 'snapshots', description: 'Snapshots of volumes, the OpenStack way' },
  { name: 'attachments', description: 'Who uses volumes' },
  { name: 'volume types', description: 'Kinds of volumes' },
  { name: 'quotas', description: 'Limits of projects' },
  { name: 'messages', description: 'What failed after it had been accepted' },
  { name: 'service', description: 'What the service consists of' },
  { name: 'identity', description: 'Tokens and projects' },
  { name: 'discovery', description: 'Versions of the API' },
  { name: 'extensions', description: 'Beyond the reference' },
  { name: 'site', description: 'Health, description, console' },
];

export async function installOpenApi(app: FastifyInstance, version: string): Promise<void> {
  for (const schema of NAMED_SCHEMAS) app.addSchema(referWithin(schema));
  await app.register(swagger, {
    exposeHeadRoutes: true,
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'OpenVBS',
        summary: 'Volume Backup Service',
        version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: TAGS,
      components: {
        securitySchemes: { token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' } },
      },
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, index) => String(json.$id ?? `schema-${index}`) },
  });
}
