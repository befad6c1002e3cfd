import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, suggestName } from '../../../src/core/suggest.ts';

test('a slip of the finger finds the name that was meant', () => {
  assert.equal(suggestName('restor', ['restore', 'repository']), 'restore');
  assert.equal(suggestName('lsit', ['list', 'show']), 'list');
  assert.equal(suggestName('OPENVBS_LISTN', ['OPENVBS_LISTEN', 'OPENVBS_DATA']), 'OPENVBS_LISTEN');
});

test('what resembles nothing gets no suggestion', () => {
  assert.equal(suggestName('frobnicate', ['list', 'show']), undefined);
  assert.equal(suggestName('x', ['add']), undefined);
  assert.equal(didYouMean('frobnicate', ['list']), '');
});
