// The settings of the native API (contract 6.2): their defaults are those of the contract, each can be set, and what is
// none of their words is refused.
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { loadConfig } from '../../src/config.ts';
import { NATIVE_RULES, type NativeRules } from '../../src/core/native-rules.ts';

function load(env: Record<string, string>): NativeRules {
  return loadConfig({ env, flags: {}, cwd: tmpdir() }).config.native;
}

test('without any source the documented defaults hold', () => {
  assert.deepEqual(load({}), NATIVE_RULES);
});

test('each is set by its variable', () => {
  assert.equal(load({ OPENVBS_NATIVE_NAMES: 'vbs' }).names, 'vbs');
  assert.equal(load({ OPENVBS_NATIVE_INCREMENTAL: 'auto' }).incremental, 'auto');
  assert.equal(load({ OPENVBS_NATIVE_DEPENDANTS: 'refuse' }).dependants, 'refuse');
  assert.equal(load({ OPENVBS_NATIVE_TENANT_ATTR_EVERYWHERE: '1' }).isTenantAttrEverywhere, true);
});

test('other words are refused, with the variable and what it may be', () => {
  for (const [variable, value, expected] of [
    ['OPENVBS_NATIVE_NAMES', 'strict', 'relaxed or vbs'],
    ['OPENVBS_NATIVE_INCREMENTAL', 'always', 'honour or auto'],
    ['OPENVBS_NATIVE_DEPENDANTS', 'deny', 'allow or refuse'],
    ['OPENVBS_NATIVE_TENANT_ATTR_EVERYWHERE', 'perhaps', '0 or 1'],
  ] as const) {
    assert.throws(
      () => load({ [variable]: value }),
      (error: Error) => error.message.includes(variable) && error.message.includes(expected),
      variable,
    );
  }
});
