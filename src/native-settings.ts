// The settings of the native backup API (contract 6.2): a part of the table in config.ts.
import { Type } from 'typebox';
import { NATIVE_RULES, type NativeRules } from './core/native-rules.ts';

export const NATIVE_SETTINGS = {
  nativeNames: {
    variable: 'OPENVBS_NATIVE_NAMES',
    flag: 'native-names',
    kind: 'text',
    schema: Type.Union([Type.Literal('relaxed'), Type.Literal('vbs')]),
    hint: 'RULE',
    expected: 'relaxed or vbs',
    doc: 'backup names on /v3/{project_id}/backups: any text as in OpenStack, or as the VBS API wants them',
    default: NATIVE_RULES.names,
  },
  nativeIncremental: {
    variable: 'OPENVBS_NATIVE_INCREMENTAL',
    flag: 'native-incremental',
    kind: 'text',
    schema: Type.Union([Type.Literal('honour'), Type.Literal('auto')]),
    hint: 'RULE',
    expected: 'honour or auto',
    doc: 'backups made on /v3/{project_id}/backups: full or incremental as asked for, or incremental whenever possible',
    default: NATIVE_RULES.incremental,
  },
  nativeDependants: {
    variable: 'OPENVBS_NATIVE_DEPENDANTS',
    flag: 'native-dependants',
    kind: 'text',
    schema: Type.Union([Type.Literal('allow'), Type.Literal('refuse')]),
    hint: 'RULE',
    expected: 'allow or refuse',
    doc: 'whether the native API deletes a backup that increments were made on; they stay restorable in any case',
    default: NATIVE_RULES.dependants,
  },
  nativeTenantAttrEverywhere: {
    variable: 'OPENVBS_NATIVE_TENANT_ATTR_EVERYWHERE',
    flag: 'native-tenant-attr-everywhere',
    kind: 'boolean',
    schema: Type.Boolean(),
    hint: '0|1',
    expected: '0 or 1',
    doc: 'show os-backup-project-attr:tenant_id on /v3/{project_id}/backups too, which OpenStack does not',
    default: NATIVE_RULES.isTenantAttrEverywhere,
  },
} as const;

type NativeValues = {
  readonly nativeNames?: string;
  readonly nativeIncremental?: string;
  readonly nativeDependants?: string;
  readonly nativeTenantAttrEverywhere?: boolean;
};

/** The values were checked against the schemas above. */
export function toNativeRules(values: NativeValues): NativeRules {
  return {
    names: values.nativeNames === 'vbs' ? 'vbs' : 'relaxed',
    incremental: values.nativeIncremental === 'auto' ? 'auto' : 'honour',
    dependants: values.nativeDependants === 'refuse' ? 'refuse' : 'allow',
    isTenantAttrEverywhere: values.nativeTenantAttrEverywhere === true,
  };
}
