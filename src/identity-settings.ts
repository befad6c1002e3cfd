// The settings of logins, tokens and an external Keystone: a part of the table in config.ts.
import { isIP } from 'node:net';
import { type Static, Type } from 'typebox';
import { VbsError } from './core/errors.ts';
import {
  KEYSTONE_CACHE_MS,
  LOGIN_FAILURE_WINDOW_MS,
  LOGIN_FAILURES_PER_ADDRESS,
  LOGIN_FAILURES_PER_USER,
  TOKEN_KEY_ROTATION_MS,
} from './core/limits.ts';
import type { Role } from './core/model.ts';

export type KeystoneConfig = {
  /** Ends in /v3. */
  readonly url: string;
  /** Absent: tokens prove themselves. */
  readonly login?: {
    readonly user: string;
    readonly userDomain: string;
    readonly password: string;
    readonly project: string;
    readonly projectDomain: string;
  };
  readonly cacheMs: number;
  /** Lower-case names of roles in Keystone, and what they are here. */
  readonly roles: ReadonlyMap<string, Role>;
};

export type IdentityConfig = {
  /** 0: keys that sign tokens stay. */
  readonly tokenKeyRotationMs: number;
  readonly loginLimits: { readonly perUser: number; readonly perAddress: number; readonly windowMs: number };
  /** Addresses whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Present: users and tokens are Keystone's. */
  readonly keystone?: KeystoneConfig;
};

const YEAR_S = 31_536_000;
const name = Type.String({ minLength: 1, maxLength: 255 });
const roleNames = Type.String({ pattern: '^[^,\\s]+(,[^,\\s]+)*$' });
const ROLE_NAMES_EXPECTED = 'names of roles separated by ","';

export const IDENTITY_SETTINGS = {
  tokenKeyRotation: {
    variable: 'OPENVBS_TOKEN_KEY_ROTATION',
    flag: 'token-key-rotation',
    kind: 'integer',
    schema: Type.Union([Type.Literal(0), Type.Integer({ minimum: 3600, maximum: YEAR_S })]),
    hint: 'SECONDS',
    expected: '0 (never) or seconds from 3600 to 31536000 (a year)',
    doc: 'age at which a new key takes over signing tokens; the old one is honoured while tokens of it live',
    default: TOKEN_KEY_ROTATION_MS / 1000,
  },
  loginFailuresPerUser: {
    variable: 'OPENVBS_LOGIN_FAILURES_PER_USER',
    flag: 'login-failures-per-user',
    kind: 'integer',
    schema: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
    hint: 'COUNT',
    expected: 'a whole number from 0 (unlimited) to 1000000',
    doc: 'failed logins of one user within the window before more are refused untried; 0 is unlimited',
    default: LOGIN_FAILURES_PER_USER,
  },
  loginFailuresPerAddress: {
    variable: 'OPENVBS_LOGIN_FAILURES_PER_ADDRESS',
    flag: 'login-failures-per-address',
    kind: 'integer',
    schema: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
    hint: 'COUNT',
    expected: 'a whole number from 0 (unlimited) to 1000000',
    doc: 'the same for one address (IPv6: one /64 network)',
    default: LOGIN_FAILURES_PER_ADDRESS,
  },
  loginFailureWindow: {
    variable: 'OPENVBS_LOGIN_FAILURE_WINDOW',
    flag: 'login-failure-window',
    kind: 'integer',
    schema: Type.Integer({ minimum: 1, maximum: 86_400 }),
    hint: 'SECONDS',
    expected: 'seconds from 1 to 86400 (a day)',
    doc: 'window in which failed logins are counted',
    default: LOGIN_FAILURE_WINDOW_MS / 1000,
  },
  trustedProxies: {
    variable: 'OPENVBS_TRUSTED_PROXIES',
    flag: 'trusted-proxies',
    kind: 'text',
    schema: Type.String({ minLength: 1 }),
    hint: 'ADDRESS[,ADDRESS...]',
    expected: 'IP addresses or networks separated by ",", for example 127.0.0.1,10.0.0.0/8',
    doc: 'proxies whose X-Forwarded-* headers are believed; without, every login counts as from the proxy',
  },
  keystoneUrl: {
    variable: 'OPENVBS_KEYSTONE_URL',
    flag: 'keystone-url',
    kind: 'text',
    schema: Type.String({ pattern: '^https?://' }),
    hint: 'URL',
    expected: 'an http:// or https:// address without user, password and query',
    doc: 'Keystone that keeps users and tokens instead of this service, for example https://keystone:5000/v3',
  },
  keystoneUser: {
    variable: 'OPENVBS_KEYSTONE_USER',
    flag: 'keystone-user',
    kind: 'text',
    schema: name,
    hint: 'NAME',
    expected: '1 to 255 characters',
    doc: 'user who may validate tokens in Keystone; without, each token is used to validate itself',
  },
  keystonePassword: {
    variable: 'OPENVBS_KEYSTONE_PASSWORD',
    flag: 'keystone-password',
    kind: 'text',
    schema: Type.String({ minLength: 1, maxLength: 1024 }),
    hint: 'PASSWORD',
    expected: '1 to 1024 characters',
    doc: 'password of that user (everybody on the machine can see flags: prefer the variable)',
    isSecret: true,
  },
  keystoneUserDomain: {
    variable: 'OPENVBS_KEYSTONE_USER_DOMAIN',
    flag: 'keystone-user-domain',
    kind: 'text',
    schema: name,
    hint: 'NAME',
    expected: '1 to 255 characters',
    doc: 'name of the domain of that user',
    default: 'Default',
  },
  keystoneProject: {
    variable: 'OPENVBS_KEYSTONE_PROJECT',
    flag: 'keystone-project',
    kind: 'text',
    schema: name,
    hint: 'NAME',
    expected: '1 to 255 characters',
    doc: 'project of that user',
    default: 'service',
  },
  keystoneProjectDomain: {
    variable: 'OPENVBS_KEYSTONE_PROJECT_DOMAIN',
    flag: 'keystone-project-domain',
    kind: 'text',
    schema: name,
    hint: 'NAME',
    expected: '1 to 255 characters',
    doc: 'name of the domain of that project',
    default: 'Default',
  },
  keystoneCache: {
    variable: 'OPENVBS_KEYSTONE_CACHE',
    flag: 'keystone-cache',
    kind: 'integer',
    schema: Type.Integer({ minimum: 0, maximum: 3600 }),
    hint: 'SECONDS',
    expected: 'seconds from 0 (ask each time) to 3600',
    doc: 'how long an answer of Keystone about a token is believed: a token revoked there lives here this long at most',
    default: KEYSTONE_CACHE_MS / 1000,
  },
  keystoneAdminRoles: {
    variable: 'OPENVBS_KEYSTONE_ADMIN_ROLES',
    flag: 'keystone-admin-roles',
    kind: 'text',
    schema: roleNames,
    hint: 'NAME[,NAME...]',
    expected: ROLE_NAMES_EXPECTED,
    doc: 'roles of Keystone that are admin here',
    default: 'admin',
  },
  keystoneMemberRoles: {
    variable: 'OPENVBS_KEYSTONE_MEMBER_ROLES',
    flag: 'keystone-member-roles',
    kind: 'text',
    schema: roleNames,
    hint: 'NAME[,NAME...]',
    expected: ROLE_NAMES_EXPECTED,
    doc: 'roles of Keystone that are member here',
    default: 'member,_member_',
  },
  keystoneReaderRoles: {
    variable: 'OPENVBS_KEYSTONE_READER_ROLES',
    flag: 'keystone-reader-roles',
    kind: 'text',
    schema: roleNames,
    hint: 'NAME[,NAME...]',
    expected: ROLE_NAMES_EXPECTED,
    doc: 'roles of Keystone that are reader here',
    default: 'reader',
  },
} as const;

type Name = keyof typeof IDENTITY_SETTINGS;
type Values = { readonly [Key in Name]?: Static<(typeof IDENTITY_SETTINGS)[Key]['schema']> };

/** `originOf` says where a value came from. @throws CONFIG_INVALID */
export function toIdentityConfig(values: Values, originOf: (name: Name) => string): IdentityConfig {
  const keystone = toKeystoneConfig(values, originOf);
  return {
    tokenKeyRotationMs: (values.tokenKeyRotation ?? 0) * 1000,
    loginLimits: {
      perUser: values.loginFailuresPerUser ?? 0,
      perAddress: values.loginFailuresPerAddress ?? 0,
      windowMs: (values.loginFailureWindow ?? 1) * 1000,
    },
    trustedProxies: toProxies(values.trustedProxies, originOf),
    ...(keystone === undefined ? {} : { keystone }),
  };
}

function toKeystoneConfig(values: Values, originOf: (name: Name) => string): KeystoneConfig | undefined {
  const { keystoneUser: user, keystonePassword: password } = values;
  if (values.keystoneUrl === undefined) {
    if (user === undefined && password === undefined) return undefined;
    throw invalid(user === undefined ? 'keystonePassword' : 'keystoneUser', 'set without keystoneUrl');
  }
  if ((user === undefined) !== (password === undefined)) {
    throw invalid(user === undefined ? 'keystoneUser' : 'keystonePassword', 'the other of user and password is set');
  }
  const { keystoneUserDomain = '', keystoneProject = '', keystoneProjectDomain = '' } = values;
  const domains = { userDomain: keystoneUserDomain, project: keystoneProject, projectDomain: keystoneProjectDomain };
  return {
    url: parseKeystoneUrl(values.keystoneUrl, originOf('keystoneUrl')),
    ...(user === undefined || password === undefined ? {} : { login: { user, password, ...domains } }),
    cacheMs: (values.keystoneCache ?? 0) * 1000,
    roles: toRoles(values),
  };
}

/** A role that is named twice is the greater of the two. */
function toRoles(values: Values): ReadonlyMap<string, Role> {
  const { keystoneReaderRoles, keystoneMemberRoles, keystoneAdminRoles } = values;
  const named: readonly (readonly [string | undefined, Role])[] = [
    [keystoneReaderRoles, 'reader'],
    [keystoneMemberRoles, 'member'],
    [keystoneAdminRoles, 'admin'],
  ];
  return new Map(
    named.flatMap(([text = '', role]) => text.split(',').map((word) => [word.toLowerCase(), role] as const)),
  );
}

function parseKeystoneUrl(text: string, origin: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || `${url.search}${url.hash}${url.username}${url.password}` !== '') {
    const { expected } = IDENTITY_SETTINGS.keystoneUrl;
    throw invalid('keystoneUrl', `the value (from ${origin}) must be ${expected}`);
  }
  const path = url.pathname.replace(/\/+$/, '');
  return `${url.origin}${path.endsWith('/v3') ? path : `${path}/v3`}`;
}

function toProxies(text: string | undefined, originOf: (name: Name) => string): readonly string[] {
  const proxies = text?.split(',').map((part) => part.trim()) ?? [];
  const wrong = proxies.find((proxy) => !isNetwork(proxy));
  if (wrong === undefined) return proxies;
  const { expected } = IDENTITY_SETTINGS.trustedProxies;
  const shown = JSON.stringify(wrong);
  throw invalid('trustedProxies', `${shown} (from ${originOf('trustedProxies')}) must be ${expected}`);
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

function invalid(setting: Name, reason: string): VbsError {
  return new VbsError('CONFIG_INVALID', { setting, reason });
}
