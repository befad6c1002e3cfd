// What a scrape answered, by name and labels.

export class Samples {
  readonly #values = new Map<string, number>();

  /** `text` is in the text format of Prometheus. */
  constructor(text: string) {
    for (const line of text.split('\n')) {
      if (line === '' || line.startsWith('#')) continue;
      const end = line.lastIndexOf(' ');
      this.#values.set(line.slice(0, end), Number(line.slice(end + 1)));
    }
  }

  get names(): string[] {
    return [...this.#values.keys()];
  }

  /** Of one sample, named with its labels; undefined when there is none. */
  get(sample: string): number | undefined {
    return this.#values.get(sample);
  }

  /** Of all samples of the metric whose labels hold the text; 0 when there is none. */
  sum(name: string, labels = ''): number {
    const isWanted = (sample: string) => sample.split('{', 1)[0] === name && sample.includes(labels);
    return [...this.#values].reduce((total, [sample, value]) => (isWanted(sample) ? total + value : total), 0);
  }
}
