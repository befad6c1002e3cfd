// The named schemas around volumes, for the OpenAPI document.
import {
  AttachmentActionBody,
  AttachmentBody,
  AttachmentSummary,
  CreateAttachmentBody,
  UpdateAttachmentBody,
} from './attachments.ts';
import { Manageable, ManageableSummary } from './manageable-volumes.ts';
import { MessageBody } from './messages.ts';
import { QuotaSet, UpdateQuotaClassSetBody, UpdateQuotaSetBody } from './quotas.ts';
import { DisabledServiceBody, ExtensionBody, ServiceBody, ServiceRequestBody } from './services.ts';
import {
  CreateVolumeTypeBody,
  ExtraSpecBody,
  ExtraSpecsBody,
  UpdateVolumeTypeBody,
  VolumeTypeAccess,
  VolumeTypeActionBody,
  VolumeTypeBody,
} from './volume-types.ts';

export const VOLUME_SUPPORT_SCHEMAS = [
  AttachmentSummary,
  AttachmentBody,
  CreateAttachmentBody,
  UpdateAttachmentBody,
  AttachmentActionBody,
  ManageableSummary,
  Manageable,
  MessageBody,
  QuotaSet,
  UpdateQuotaSetBody,
  UpdateQuotaClassSetBody,
  ServiceBody,
  ServiceRequestBody,
  DisabledServiceBody,
  ExtensionBody,
  VolumeTypeBody,
  CreateVolumeTypeBody,
  UpdateVolumeTypeBody,
  ExtraSpecsBody,
  ExtraSpecBody,
  VolumeTypeAccess,
  VolumeTypeActionBody,
];
