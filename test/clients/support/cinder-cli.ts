// The `cinder` command of one person.
import assert from 'node:assert/strict';
import { waitFor } from '../../support/live-api.ts';
import type { ClientBench, Person } from './client-bench.ts';
import { readProperties, readTable } from './text-table.ts';

type Row = Readonly<Record<string, string>>;

export class CinderCli {
  readonly #bench: ClientBench;
  readonly #person: Person;

  constructor(bench: ClientBench, person: Person) {
    this.#bench = bench;
    this.#person = person;
  }

  /** Runs it; it must succeed. Words are separated by spaces; `more` are words that hold some themselves. */
  async run(line: string, ...more: string[]): Promise<string> {
    return await this.#bench.must('cinder', [...line.split(' '), ...more], { as: this.#person });
  }

  /** Runs it; it must fail with `complaint`. */
  async refused(complaint: RegExp, line: string, ...more: string[]): Promise<void> {
    const words = [...line.split(' '), ...more];
    assert.match(await this.#bench.refused('cinder', words, { as: this.#person }), complaint);
  }

  async rows(line: string, ...more: string[]): Promise<Row[]> {
    return readTable(await this.run(line, ...more));
  }

  async properties(line: string, ...more: string[]): Promise<Row> {
    return readProperties(await this.run(line, ...more));
  }

  /** A volume of 1 GiB, available; returns its id. */
  async createVolume(name: string, ...more: string[]): Promise<string> {
    const { id, status } = await this.properties(`create 1 --poll --name ${name}`, ...more);
    assert.equal(status, 'available');
    return id ?? '';
  }

  /** A backup, available; returns its id. */
  async backUp(volume: string, name: string, ...more: string[]): Promise<string> {
    const { id = '' } = await this.properties(`backup-create ${volume} --name ${name}`, ...more);
    await this.waitUntil(`backup-show ${id}`, 'available');
    return id;
  }

  /** Asks `line` until it shows `status`; an error state ends the waiting. */
  async waitUntil(line: string, status: string): Promise<Row> {
    return await waitFor(async () => {
      const found = await this.properties(line);
      if (found.status === status) return found;
      assert.doesNotMatch(found.status ?? '', /error/, line);
      return undefined;
    });
  }

  /** Asks `line` until nothing is found any more. */
  async waitUntilGone(line: string): Promise<void> {
    await waitFor(async () => {
      const { code, stderr } = await this.#bench.run('cinder', line.split(' '), { as: this.#person });
      if (code === 0) return undefined;
      assert.match(stderr, /No .* with a name or ID of/);
      return true;
    });
  }
}
