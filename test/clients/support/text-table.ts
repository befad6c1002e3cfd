// The tables that `cinder` prints: it has no other output format.

/** Rows by the names of their columns. */
export function readTable(text: string): Record<string, string>[] {
  const [header, ...rows] = text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map(splitRow);
  if (header === undefined) return [];
  return rows.map((cells) => Object.fromEntries(header.map((name, index) => [name, cells[index] ?? ''])));
}

/** A table of two columns, Property and Value. Lines that go on with the value above are joined to it. */
export function readProperties(text: string): Record<string, string> {
  const properties: Record<string, string> = {};
  let last = '';
  for (const { Property = '', Value = '' } of readTable(text)) {
    if (Property === '') properties[last] += `\n${Value}`;
    else properties[Property] = Value;
    last = Property === '' ? last : Property;
  }
  return properties;
}

function splitRow(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}
