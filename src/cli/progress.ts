// Progress of a job or a download: one line that is redrawn on a terminal, now and then a plain line elsewhere.
// `renderProgress` is pure; `ProgressReporter` only decides when to write.
import type { JobProgress } from '../client/resources.ts';
import type { Clock } from '../core/ports.ts';
import { formatBytes, formatDuration, formatRate } from './format.ts';
import type { OutputStream } from './terminal.ts';

/** Redraws of a terminal line: smooth enough, cheap enough. */
const REDRAW_MS = 100;
/** Plain lines: a log of an hour stays readable. */
const PLAIN_LINE_MS = 5_000;
/** What is done sooner needs no plain line at all. */
const PLAIN_LINE_FIRST_MS = 1_000;
const BAR_WIDTH = 24;
const COLUMNS_DEFAULT = 80;

export type ProgressView = Pick<
  JobProgress,
  'totalBytes' | 'doneBytes' | 'skippedBytes' | 'percent' | 'rateBytesPerS' | 'etaS'
>;

/** `Backing up  42 % [##########..............] 1.68 GiB of 4.00 GiB  310 MiB/s  8 s left`, at most `columns` wide. */
export function renderProgress(label: string, progress: ProgressView, columns: number): string {
  const { totalBytes, doneBytes, skippedBytes, rateBytesPerS, etaS } = progress;
  const percent = Math.floor(Math.min(100, Math.max(0, progress.percent ?? percentOf(progress))));
  const filled = Math.round((percent / 100) * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
  const handled = Math.min(totalBytes, doneBytes + skippedBytes);
  const amount = totalBytes > 0 ? `${formatBytes(handled)} of ${formatBytes(totalBytes)}` : 'starting';
  const rate = rateBytesPerS !== null && rateBytesPerS > 0 ? `  ${formatRate(rateBytesPerS)}` : '';
  const eta = etaS !== null && percent < 100 ? `  ${formatDuration(etaS)} left` : '';
  const head = `${label} ${String(percent).padStart(3)} %`;
  // A narrow terminal loses the bar first, then the amounts: a line that wraps cannot be redrawn.
  const forms = [
    `${head} ${bar} ${amount}${rate}${eta}`,
    `${head}  ${amount}${rate}${eta}`,
    `${head}${rate}${eta}`,
    head,
  ];
  return forms.find((form) => form.length <= columns) ?? head.slice(0, columns);
}

function percentOf({ totalBytes, doneBytes, skippedBytes }: ProgressView): number {
  return totalBytes === 0 ? 0 : ((doneBytes + skippedBytes) / totalBytes) * 100;
}

export type ProgressDeps = { readonly stream: OutputStream; readonly clock: Clock; readonly label: string };

export class ProgressReporter {
  readonly #deps: ProgressDeps;
  readonly #isTerminal: boolean;
  #writtenAt: number;
  #lastLine = '';

  constructor(deps: ProgressDeps) {
    this.#deps = deps;
    this.#isTerminal = deps.stream.isTTY === true;
    const firstDelayMs = this.#isTerminal ? 0 : PLAIN_LINE_FIRST_MS;
    this.#writtenAt = deps.clock.now() - this.#intervalMs() + firstDelayMs;
  }

  report(progress: ProgressView): void {
    const { stream, clock, label } = this.#deps;
    const now = clock.now();
    if (now - this.#writtenAt < this.#intervalMs()) return;
    const columns = this.#isTerminal ? (stream.columns ?? COLUMNS_DEFAULT) - 1 : Number.POSITIVE_INFINITY;
    const line = renderProgress(label, progress, columns);
    if (line === this.#lastLine) return;
    this.#writtenAt = now;
    this.#lastLine = line;
    // CSI K clears what a longer line left behind.
    stream.write(this.#isTerminal ? `\r${line}\u001b[K` : `${line}\n`);
  }

  /** Takes the redrawn line away, so that what follows begins on a clean one. Harmless twice. */
  close(): void {
    if (this.#isTerminal && this.#lastLine !== '') this.#deps.stream.write('\r\u001b[K');
    this.#lastLine = '';
  }

  #intervalMs(): number {
    return this.#isTerminal ? REDRAW_MS : PLAIN_LINE_MS;
  }
}
