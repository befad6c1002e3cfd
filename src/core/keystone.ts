// What services ask of an external Keystone; keystone/keystone-client.ts asks it.

/** A valid token as Keystone describes it. Names and ids are Keystone's own. */
export type KeystoneToken = {
  readonly userId: string;
  readonly userName: string;
  readonly project: { readonly id: string; readonly name: string; readonly domainId: string } | null;
  /** For the whole cloud, not for a domain. */
  readonly isSystemScoped: boolean;
  readonly roleNames: readonly string[];
  readonly issuedAt: number;
  readonly expiresAt: number;
};

export type KeystoneTokens = {
  /** Undefined: Keystone does not know the token (any more). @throws KEYSTONE_UNAVAILABLE */
  validate(tokenId: string): Promise<KeystoneToken | undefined>;
};
