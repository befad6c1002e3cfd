// Which API family a path belongs to (contract 1.1): it decides how errors look, which headers are sent and whether
// microversions count. Worked out from the path alone, so that unknown paths are answered in their family's form too.

/** `vbs`: CB, JB and later BP. `native2`, `native3`: Cinder's. `plain`: discovery, health, console. */
export type Family = 'vbs' | 'native2' | 'native3' | 'identity' | 'plain';

const VBS_COLLECTIONS: ReadonlySet<string> = new Set(['cloudbackups', 'jobs', 'backuppolicy', 'backuppolicyresources']);

export function familyOfPath(path: string): Family {
  const [, version = '', second = '', collection = ''] = path.split('/', 4);
  switch (version) {
    case 'identity':
      return 'identity';
    case 'v1':
      return 'vbs';
    case 'v2':
      return VBS_COLLECTIONS.has(collection) ? 'vbs' : 'native2';
    case 'v3':
      // `auth` can never be a project id: the identity service answers there as well (contract 1.7).
      return second === 'auth' ? 'identity' : 'native3';
    default:
      return 'plain';
  }
}

/** The path of a request target, without query and fragment. */
export function pathOfUrl(url: string): string {
  return url.split(/[?#]/, 1)[0] ?? '';
}
