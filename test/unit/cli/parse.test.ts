import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../../../src/cli/cli-error.ts';
import { CLIENT_COMMANDS } from '../../../src/cli/client-commands.ts';
import { renderHelp } from '../../../src/cli/help.ts';
import { type ParsedLine, parseLine } from '../../../src/cli/parse.ts';
import { keyCommands } from '../../../src/local/key-commands.ts';

function parse(line: string): ParsedLine {
  return parseLine(CLIENT_COMMANDS, line === '' ? [] : line.split(' '));
}

function run(line: string): Extract<ParsedLine, { kind: 'run' }> {
  const parsed = parse(line);
  assert.equal(parsed.kind, 'run');
  return parsed as Extract<ParsedLine, { kind: 'run' }>;
}

function refused(line: string, ...parts: readonly string[]): void {
  assert.throws(
    () => parse(line),
    (error) => {
      assert.ok(error instanceof CliError);
      assert.equal(error.exitCode, 2);
      for (const part of parts) assert.ok(`${error.message} ${error.hint}`.includes(part), `${error.message}: ${part}`);
      return true;
    },
  );
}

test('options may stand before the command, between its words and after its arguments', () => {
  for (const line of [
    '--json backup create web --name x',
    'backup create --name x --json web',
    'backup create web --name=x --json',
  ]) {
    const { command, flags, args } = run(line);
    assert.deepEqual(command.path, ['backup', 'create']);
    assert.equal(flags.text('name'), 'x');
    assert.ok(flags.has('json'));
    assert.deepEqual(args, ['web']);
  }
  assert.equal(run('--url http://a volume list').flags.text('url'), 'http://a');
});

test('options that may be repeated keep all values, others the last', () => {
  const { flags } = run('backup create v --tag a=1 --tag b=2 --name x --name y');
  assert.deepEqual(flags.texts('tag'), ['a=1', 'b=2']);
  assert.equal(flags.text('name'), 'y');
});

test('a lone dash is a value: stdin', () => {
  assert.equal(run('login --password-file -').flags.text('password-file'), '-');
});

test('words after -- are arguments, whatever they look like', () => {
  assert.deepEqual(run('volume show -- --name').args, ['--name']);
});

test('short options work', () => {
  assert.ok(run('backup delete x -y').flags.has('yes'));
});

test('wrong words name the nearest right one', () => {
  refused('restor x', 'no command restor', 'Did you mean restore?');
  refused('backup lst', 'no command backup lst', 'Did you mean list?');
  refused('backup', 'backup needs a command', 'create, list, show, delete');
  refused('backup create v --ful', 'no option --ful', 'Did you mean --full?');
  const keyLine = () => parseLine(keyCommands, ['repository', 'kye']);
  assert.throws(keyLine, /there is no command repository kye: key\. Did you mean key\?/);
  refused('--jsn', 'no option --jsn', 'Did you mean --json?');
});

test('missing and surplus words are named', () => {
  refused('backup create', 'VOLUME is missing', 'backup create VOLUME');
  refused('volume list web', 'unexpected argument "web"');
  refused('backup create v --name', '--name needs a value');
  refused('backup create v --name --full', '--name needs a value');
  refused('backup create v --full=yes', '--full takes no value');
});

test('help is found by every road', () => {
  assert.deepEqual(parse(''), { kind: 'help', words: [] });
  assert.deepEqual(parse('--help'), { kind: 'help', words: [] });
  assert.deepEqual(parse('help'), { kind: 'help', words: [] });
  assert.deepEqual(parse('help backup create'), { kind: 'help', words: ['backup', 'create'] });
  assert.deepEqual(parse('backup create --help'), { kind: 'help', words: ['backup', 'create'] });
  assert.deepEqual(parse('backup --help'), { kind: 'help', words: ['backup'] });
  assert.deepEqual(parse('-h backup'), { kind: 'help', words: ['backup'] });
});

test('every command has help with its options and an example that parses', () => {
  for (const command of CLIENT_COMMANDS) {
    const text = renderHelp(CLIENT_COMMANDS, command.path, 'openvbs');
    assert.ok(text.includes('--json'));
    assert.ok(
      text.split('\n').every((line) => line.length <= 110),
      text,
    );
    for (const example of command.examples) {
      assert.ok(text.includes(`openvbs ${example}`));
      assert.deepEqual(run(example.replace(/ < .*/, '')).command.path, command.path);
    }
  }
  assert.throws(() => renderHelp(CLIENT_COMMANDS, ['restor'], 'openvbs'), CliError);
});

test('the overview lists every command and every exit code', () => {
  const text = renderHelp(CLIENT_COMMANDS, [], 'openvbs');
  for (const { path } of CLIENT_COMMANDS) assert.ok(text.includes(`  ${path.join(' ')}`), path.join(' '));
  for (const code of ['0  ', '1  ', '2  ', '3  ', '4  ', '5  ', '6  ', '130'])
    assert.ok(text.includes(`  ${code}`), code);
});
