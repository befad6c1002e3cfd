// Which API family a path belongs to (contract 1.1): it decides how errors look, which headers are sent and whether
// microversions count. Worked out from the path alone, so that unknown paths are answered in their family's form too.

/**
 * `vbs`: CB and JB. `policy`: BP. `sharing`: SH, with native faults. `native2`, `native3`: Cinder's. `plain`:
 * discovery, health, console.
 */
export type Family = 'vbs' | 'policy' | 'sharing' | 'native2' | 'native3' | 'identity' | 'plain';

/** Collections below /v2 that are not Cinder's. */
const COLLECTIONS: ReadonlyMap<string, Family> = new Map([
  ['cloudbackups', 'vbs'],
  ['jobs', 'vbs'],
  ['backuppolicy', 'policy'],
  ['backuppolicyresources', 'policy'],
  ['os-vendor-backup-sharing', 'sharing'],
]);

/** Families whose errors are `{"error":{"code":"<VBS code>","message":...}}`. */
export function isVbsFamily(family: Family): boolean {
  return family === 'vbs' || family === 'policy';
}

export function familyOfPath(path: string): Family {
  const [, version = '', second = '', collection = ''] = path.split('/', 4);
  switch (version) {
    case 'identity':
      return 'identity';
    case 'v1':
      return 'vbs';
    case 'v2':
      return COLLECTIONS.get(collection) ?? 'native2';
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
