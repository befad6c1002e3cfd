// The words of identity: how somebody proves who they are, what they want a token for, what a token shows.
import type { ApplicationCredentialId, ProjectId, UserId } from '../core/ids.ts';
import type { Role } from '../core/model.ts';

export type DomainRef = { readonly id: string } | { readonly name: string };
export type UserRef = { readonly id: string } | { readonly name: string; readonly domain: DomainRef };
export type ProjectRef = { readonly id: string } | { readonly name: string; readonly domain: DomainRef };
export type ApplicationCredentialRef = { readonly id: string } | { readonly name: string; readonly user: UserRef };

export type AuthIdentity =
  | { readonly method: 'password'; readonly user: UserRef; readonly password: string }
  | { readonly method: 'token'; readonly tokenId: string }
  | {
      readonly method: 'application_credential';
      readonly credential: ApplicationCredentialRef;
      readonly secret: string;
    }
  /** Any other method that the request names (totp, mapped, ...). */
  | { readonly method: 'other'; readonly name: string };

export type AuthScope =
  | { readonly kind: 'project'; readonly project: ProjectRef }
  | { readonly kind: 'domain'; readonly domain: DomainRef }
  | { readonly kind: 'unscoped' };

/** Every identity must be right, and all of them the same user's. At least one. */
export type AuthRequest = { readonly identities: readonly AuthIdentity[]; readonly scope: AuthScope };

export type DomainView = { readonly id: string; readonly name: string };
export type RoleView = { readonly id: string; readonly name: Role };

/** What the body of a token shows, without the catalog of endpoints: that is the API's. */
export type TokenView = {
  readonly methods: readonly string[];
  readonly auditIds: readonly string[];
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly user: { readonly id: UserId; readonly name: string; readonly domain: DomainView };
  readonly project: { readonly id: ProjectId; readonly name: string; readonly domain: DomainView } | null;
  readonly domain: DomainView | null;
  readonly roles: readonly RoleView[];
  /** The application credential that it was made with. */
  readonly applicationCredential: {
    readonly id: ApplicationCredentialId;
    readonly name: string;
    readonly isRestricted: boolean;
  } | null;
};

/** The one domain; Keystone's own default has these names too. */
export const DEFAULT_DOMAIN: DomainView = { id: 'default', name: 'Default' };

/** Ids of roles on the wire; fixed, so that a client may remember them. */
export const ROLE_IDS: Readonly<Record<Role, string>> = {
  admin: '3d7f4a1e9c0b48d2a65e8f7b1c2d3e40',
  member: '70d1f6a2b9c84e05a3d7f1e29b6c4850',
  reader: 'b52c9e07d14f4a6d8e3107f2c6a5d9b8',
};

export function isDefaultDomain(domain: DomainRef): boolean {
  if ('id' in domain) return domain.id === DEFAULT_DOMAIN.id;
  // Keystone compares names without case, and clients are configured with either spelling.
  return domain.name.toLowerCase() === DEFAULT_DOMAIN.name.toLowerCase();
}
