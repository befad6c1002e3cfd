// The program's surroundings as the commands use them: streams, environment, questions. Nothing here decides anything.
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadStream } from 'node:tty';

/** Time for what waits in the terminal's buffer to arrive and be dropped. */
const TYPEAHEAD_MS = 50;

export type OutputStream = {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
};

export type Terminal = {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Both ends belong to a person, so questions make sense. */
  readonly isInteractive: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly homeFolder: string;
  readStdin(): Promise<string>;
  ask(question: string, signal: AbortSignal): Promise<string>;
  /** As `ask`, without showing what is typed. */
  askSecret(question: string, signal: AbortSignal): Promise<string>;
};

export function processTerminal(homeFolder: string): Terminal {
  const { stdin, stdout, stderr } = process;
  return {
    stdout,
    stderr,
    isInteractive: stdin.isTTY === true && stderr.isTTY === true,
    env: process.env,
    cwd: process.cwd(),
    homeFolder,
    readStdin: () => text(stdin),
    ask: async (question, signal) => {
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return await lines.question(question, { signal });
      } finally {
        lines.close();
      }
    },
    askSecret: (question, signal) => askSecret(stdin, stderr, question, signal),
  };
}

async function askSecret(
  stdin: ReadStream,
  stderr: OutputStream,
  question: string,
  signal: AbortSignal,
): Promise<string> {
  stdin.setRawMode(true);
  stdin.resume();
  let secret = '';
  try {
    // What was typed or pasted before the question is no answer to it: further commands of a paste, most likely.
    await sleep(TYPEAHEAD_MS, undefined, { signal });
    stdin.read();
    stderr.write(question);
    for (;;) {
      const [bytes] = (await once(stdin, 'data', { signal })) as [Buffer];
      for (const character of bytes.toString('utf8')) {
        if (character === '\r' || character === '\n' || character === '\u0004') return secret;
        // Raw mode turns Ctrl-C into a character; keep its meaning.
        if (character === '\u0003') throw new DOMException('interrupted', 'AbortError');
        secret = character === '\u007f' || character === '\b' ? secret.slice(0, -1) : secret + character;
      }
    }
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}
