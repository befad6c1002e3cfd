// The `openstack` command of one person, with JSON as its output.
import assert from 'node:assert/strict';
import { asList, type Json, waitFor } from '../../support/live-api.ts';
import type { ClientBench, Person } from './client-bench.ts';

export class OpenstackCli {
  readonly #bench: ClientBench;
  readonly #person: Person;
  readonly #env: Readonly<Record<string, string>>;

  constructor(bench: ClientBench, person: Person, env: Readonly<Record<string, string>> = {}) {
    this.#bench = bench;
    this.#person = person;
    this.#env = env;
  }

  /** Runs it; it must succeed. Words are separated by spaces; `more` are words that hold some themselves. */
  async run(line: string, ...more: string[]): Promise<string> {
    return await this.#bench.must('openstack', words(line, more), { as: this.#person, env: this.#env });
  }

  /** Runs it; it must fail with `complaint`. */
  async refused(complaint: RegExp, line: string, ...more: string[]): Promise<void> {
    const options = { as: this.#person, env: this.#env };
    assert.match(await this.#bench.refused('openstack', words(line, more), options), complaint);
  }

  async object(line: string, ...more: string[]): Promise<Json> {
    // The cast: what shows one thing prints one object.
    return JSON.parse(await this.run(line, ...more, '-f', 'json')) as Json;
  }

  async list(line: string, ...more: string[]): Promise<Json[]> {
    return asList(JSON.parse(await this.run(line, ...more, '-f', 'json')));
  }

  /** A volume of 1 GiB, available; returns its id. */
  async createVolume(name: string, ...more: string[]): Promise<string> {
    const { id } = await this.object(`volume create --size 1 ${name}`, ...more);
    await this.waitUntil(`volume show ${String(id)}`, 'available');
    return String(id);
  }

  /** A backup, available; returns its id. */
  async backUp(volume: string, name: string, ...more: string[]): Promise<string> {
    const { id } = await this.object(`volume backup create --name ${name} ${volume}`, ...more);
    await this.waitUntil(`volume backup show ${String(id)}`, 'available');
    return String(id);
  }

  /** Asks `line` until it shows `status`; an error state ends the waiting. */
  async waitUntil(line: string, status: string): Promise<Json> {
    return await waitFor(async () => {
      const found = await this.object(line);
      if (found.status === status) return found;
      assert.doesNotMatch(String(found.status), /error/, line);
      return undefined;
    });
  }

  /** Asks `line` until nothing is found any more. */
  async waitUntilGone(line: string): Promise<void> {
    await waitFor(async () => {
      const options = { as: this.#person, env: this.#env };
      const { code, stderr } = await this.#bench.run('openstack', line.split(' '), options);
      if (code === 0) return undefined;
      assert.match(stderr, /No .* with a name or ID of|could not be found/);
      return true;
    });
  }
}

function words(line: string, more: readonly string[]): string[] {
  return [...line.split(' '), ...more];
}
