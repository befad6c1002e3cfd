// Which of the clients are installed here. A test of one that is missing is skipped, and says which package has it.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Debian's own first: its packages are not for any other Python that may stand before it in the path. */
const PYTHONS = ['/usr/bin/python3', 'python3'];

/** The reason to skip a test, or false: what `skip` of node:test takes. */
export type SkipReason = string | false;

export async function missingProgram(program: string, debianPackage: string): Promise<SkipReason> {
  const isThere = await succeeds(program, ['--version']);
  return isThere ? false : `${program} is not installed (Debian: ${debianPackage})`;
}

export async function missingGo(): Promise<SkipReason> {
  return (await succeeds('go', ['version'])) ? false : 'go is not installed (Debian: golang-go)';
}

/** The Python that can import `module`, or undefined. */
export async function findPython(module: string): Promise<string | undefined> {
  for (const python of PYTHONS) if (await succeeds(python, ['-c', `import ${module}`])) return python;
  return undefined;
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(program, args);
    return true;
  } catch {
    return false;
  }
}
