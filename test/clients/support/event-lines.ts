// How the programs beside these tests (programs/*.py, *.go) tell what they found: one JSON object a line, and each
// becomes a test of its own.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';

export type Outcome = {
  readonly event: 'passed' | 'failed' | 'skipped';
  readonly id: string;
  /** Traceback, or the reason of a skip; empty when it passed. */
  readonly detail: string;
};

/** The lines of `text` that are events called one of `names`; all other lines are dropped. */
export function readEvents(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{"event":'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export function readOutcomes(text: string): Outcome[] {
  return readEvents(text)
    .filter(({ event }) => event === 'passed' || event === 'failed' || event === 'skipped')
    .map(({ event, id, detail }) => ({
      // The cast says what the filter let through.
      event: event as Outcome['event'],
      id: String(id),
      detail: String(detail ?? ''),
    }));
}

/** One subtest for each outcome; a skip is a failure, since whatever cannot run is left out on purpose beforehand. */
export async function reportOutcomes(context: TestContext, outcomes: readonly Outcome[]): Promise<void> {
  for (const { event, id, detail } of outcomes) {
    await context.test(id, () => {
      assert.notEqual(event, 'failed', detail);
      assert.notEqual(event, 'skipped', `skipped by the client itself: ${detail}`);
    });
  }
}
