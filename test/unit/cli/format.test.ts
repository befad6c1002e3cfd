import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatDuration, formatTime, renderFields, renderTable } from '../../../src/cli/format.ts';
import { ProgressReporter, renderProgress } from '../../../src/cli/progress.ts';

test('bytes have three digits and the unit that fits', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [65_536, '64.0 KiB'],
    [1024 * 1024 - 1, '1.00 MiB'],
    [314_572_800, '300 MiB'],
    [1.5 * 1024 ** 3, '1.50 GiB'],
    [2048 * 1024 ** 4, '2048 TiB'],
  ];
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
});

test('durations grow with their units', () => {
  assert.equal(formatDuration(4.4), '4 s');
  assert.equal(formatDuration(200), '3 min 20 s');
  assert.equal(formatDuration(7500), '2 h 05 min');
  assert.equal(formatDuration(277_200), '3 d 5 h');
});

test('times lose their fraction and keep their zone', () => {
  assert.equal(formatTime('2026-02-03T09:15:00.120000Z'), '2026-02-03 09:15:00Z');
  assert.equal(formatTime(null), '-');
});

test('tables align, and control characters of names do not reach the terminal', () => {
  const rows = [
    { name: 'a', size: 1 },
    { name: 'long\u001b[2Jname', size: 200 },
  ];
  const columns = [
    { title: 'NAME', cell: (row: (typeof rows)[number]) => row.name },
    { title: 'SIZE', isRight: true, cell: (row: (typeof rows)[number]) => String(row.size) },
  ] as const;
  assert.equal(renderTable(columns, rows, 'none'), 'NAME          SIZE\na                1\nlong?[2Jname   200');
  assert.equal(renderTable(columns, [], 'none'), 'none');
  assert.equal(
    renderFields([
      ['A', 'x'],
      ['Long', 'y'],
    ]),
    'A:    x\nLong: y',
  );
});

const half = {
  totalBytes: 4 << 20,
  doneBytes: 1 << 20,
  skippedBytes: 1 << 20,
  percent: null,
  rateBytesPerS: 1 << 20,
  etaS: 2,
};

test('progress shows share, amounts, rate and time left, and drops the bar when the terminal is narrow', () => {
  const wide = renderProgress('Backing up', half, 100);
  assert.equal(wide, 'Backing up  50 % [############............] 2.00 MiB of 4.00 MiB  1.00 MiB/s  2 s left');
  assert.equal(renderProgress('Backing up', half, 70), 'Backing up  50 %  2.00 MiB of 4.00 MiB  1.00 MiB/s  2 s left');
  assert.equal(renderProgress('Backing up', half, 18), 'Backing up  50 %');
  for (let columns = 5; columns < 100; columns++)
    assert.ok(renderProgress('Backing up', half, columns).length <= columns);
});

test('progress without figures says so', () => {
  const unknown = { totalBytes: 0, doneBytes: 0, skippedBytes: 0, percent: null, rateBytesPerS: null, etaS: null };
  assert.equal(renderProgress('Restoring', unknown, 80), 'Restoring   0 % [........................] starting');
});

function recordProgress(isTTY: boolean): {
  lines: string[];
  advance: (ms: number) => void;
  reporter: ProgressReporter;
} {
  let nowAt = 1_000_000;
  const lines: string[] = [];
  const stream = { isTTY, columns: 80, write: (text: string) => lines.push(text) };
  const reporter = new ProgressReporter({ stream, clock: { now: () => nowAt }, label: 'Backing up' });
  return {
    lines,
    advance: (ms) => {
      nowAt += ms;
    },
    reporter,
  };
}

test('piped progress is a plain line after a second and then one every few seconds', () => {
  const { lines, advance, reporter } = recordProgress(false);
  for (let step = 0; step < 120; step++) {
    reporter.report({ ...half, doneBytes: step * 10_000 });
    advance(100);
  }
  reporter.close();
  assert.equal(lines.length, 3);
  assert.ok(lines.every((line) => line.endsWith('\n') && !line.includes('\u001b') && !line.includes('\r')));
});

test('terminal progress redraws one line and takes it away at the end', () => {
  const { lines, advance, reporter } = recordProgress(true);
  for (let step = 0; step < 100; step++) {
    reporter.report({ ...half, doneBytes: step * 10_000 });
    advance(10);
  }
  reporter.close();
  reporter.close();
  assert.ok(lines.length <= 11);
  assert.ok(lines.slice(0, -1).every((line) => line.startsWith('\r') && !line.includes('\n')));
  assert.equal(lines.at(-1), '\r\u001b[K');
});
