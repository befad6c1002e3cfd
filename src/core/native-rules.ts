// What an operator chooses about the native backup API, where OpenStack and the VBS reference differ (contract 6.2).

export type NativeRules = {
  /** Names on plain /v3: any printable text of up to 255 characters, or as the VBS API wants them. */
  readonly names: 'relaxed' | 'vbs';
  /** `incremental` on plain /v3: as it is asked for, or whenever it is possible. */
  readonly incremental: 'honour' | 'auto';
  /** Whether a backup may be deleted while increments that were made on it exist. */
  readonly dependants: 'allow' | 'refuse';
  /** The VBS reference's key of the owner on plain /v3 too. */
  readonly isTenantAttrEverywhere: boolean;
};

export const NATIVE_RULES: NativeRules = {
  names: 'relaxed',
  incremental: 'honour',
  dependants: 'allow',
  isTenantAttrEverywhere: false,
};
