// Makes ids, salts and keys of this process follow a seed, so that a schedule can be run again: rows are ordered by id,
// objects by name, and hooks depend on a key. Only for processes that run nothing but the model.
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import type { Random } from './random.ts';

let source: Random | undefined;

/** From here on everything that is drawn comes from `random`. */
export function drawFrom(random: Random): void {
  if (!source) install();
  source = random;
}

function install(): void {
  const { scrypt, hkdfSync } = crypto;
  const draw = (count: number): Buffer => {
    if (!source) throw new Error('no source of randomness');
    return source.fill(Buffer.alloc(count));
  };
  const patched = {
    randomBytes: (count: number) => draw(count),
    randomUUID: () => {
      const bytes = draw(16);
      bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
      bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
      const hex = bytes.toString('hex');
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
    },
    // No passphrase is stretched: at each opening of a repository that would be ten times as long as a schedule.
    scrypt: ((password: string, salt: Buffer, length: number, _cost: object, done: (e: null, key: Buffer) => void) => {
      done(null, Buffer.from(hkdfSync('sha256', password, salt, 'model', length)));
    }) as typeof scrypt,
  };
  Object.assign(crypto, patched);
  syncBuiltinESMExports();
}
