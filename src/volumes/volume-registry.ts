// The drivers of this process by name.
import assert from 'node:assert/strict';
import type { VolumeDriver } from './volume.ts';

export class VolumeRegistry {
  readonly #drivers: ReadonlyMap<string, VolumeDriver>;

  constructor(drivers: readonly VolumeDriver[]) {
    this.#drivers = new Map(drivers.map((driver) => [driver.name, driver]));
    assert.equal(this.#drivers.size, drivers.length, 'two drivers have the same name');
  }

  /** The driver that a volume row names; the schema admits only names that are registered. */
  driver(name: VolumeDriver['name']): VolumeDriver {
    const driver = this.#drivers.get(name);
    assert(driver, `no driver is called ${name}`);
    return driver;
  }

  drivers(): readonly VolumeDriver[] {
    return [...this.#drivers.values()];
  }
}
