import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOGIN_TRACK_MAX } from '../../../src/core/limits.ts';
import { type Logger, silentLogger } from '../../../src/core/ports.ts';
import { type LoginLimits, LoginThrottle, networkOf } from '../../../src/services/login-throttle.ts';

const WINDOW_MS = 60_000;

function makeThrottle(limits: Partial<LoginLimits> = {}, logger: Logger = silentLogger) {
  const clock = { nowAt: 0, now: () => clock.nowAt };
  const all = { perUser: 3, perAddress: 5, windowMs: WINDOW_MS, ...limits };
  return { clock, throttle: new LoginThrottle({ limits: all, clock, logger }) };
}

function failTimes(throttle: LoginThrottle, count: number, subject: string, address: string): void {
  for (let index = 0; index < count; index++) throttle.noteFailure({ subject, address });
}

test('blocks a user at the limit and not before, from any address, until the window ends', () => {
  const { throttle, clock } = makeThrottle();
  failTimes(throttle, 2, 'ada', '10.0.0.1');
  assert.equal(throttle.isBlocked({ subject: 'ada', address: '10.0.0.1' }), false);
  failTimes(throttle, 1, 'ada', '10.0.0.2');
  for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) {
    assert.equal(throttle.isBlocked({ subject: 'ada', address }), true, address);
  }
  assert.equal(throttle.isBlocked({ subject: 'bob', address: '10.0.0.1' }), false);
  clock.nowAt = WINDOW_MS - 1;
  assert.equal(throttle.isBlocked({ subject: 'ada', address: '10.0.0.1' }), true);
  clock.nowAt = WINDOW_MS;
  assert.equal(throttle.isBlocked({ subject: 'ada', address: '10.0.0.1' }), false);
});

test('blocks an address for everybody', () => {
  const { throttle } = makeThrottle();
  for (const name of ['a', 'b', 'c', 'd', 'e']) failTimes(throttle, 1, name, '10.0.0.1');
  assert.equal(throttle.isBlocked({ subject: 'somebody else', address: '10.0.0.1' }), true);
  assert.equal(throttle.isBlocked({ subject: 'somebody else', address: '10.0.0.2' }), false);
});

test('failures elsewhere do not lock out who logged in from an address before', () => {
  const { throttle } = makeThrottle();
  const home = { subject: 'ada', address: '10.0.0.1' };
  throttle.noteSuccess(home);
  failTimes(throttle, 4, 'ada', '10.0.0.9');
  assert.equal(throttle.isBlocked({ subject: 'ada', address: '10.0.0.9' }), true);
  assert.equal(throttle.isBlocked(home), false);
  failTimes(throttle, 3, 'ada', home.address);
  assert.equal(throttle.isBlocked(home), true, 'failures from there count there');
});

test('a success forgives the failures of that user from that address', () => {
  const { throttle } = makeThrottle();
  const home = { subject: 'ada', address: '10.0.0.1' };
  for (let round = 0; round < 2; round++) {
    throttle.noteSuccess(home);
    failTimes(throttle, 2, 'ada', home.address);
    assert.equal(throttle.isBlocked(home), false);
  }
});

test('0 is no limit', () => {
  const { throttle } = makeThrottle({ perUser: 0, perAddress: 0 });
  failTimes(throttle, 50, 'ada', '10.0.0.1');
  assert.equal(throttle.isBlocked({ subject: 'ada', address: '10.0.0.1' }), false);
});

test('memory is bounded, and who fails on stays counted', () => {
  const { throttle } = makeThrottle({ perUser: 3, perAddress: 1_000_000 });
  for (let index = 0; index < LOGIN_TRACK_MAX + 100; index++) {
    throttle.noteFailure({ subject: `guess ${index}`, address: '10.0.0.1' });
    if (index % 1000 === 0) throttle.noteFailure({ subject: 'ada', address: '10.0.0.1' });
  }
  assert.ok(throttle.trackedCount <= 2 * LOGIN_TRACK_MAX, String(throttle.trackedCount));
  assert.equal(throttle.isBlocked({ subject: 'ada', address: '10.0.0.2' }), true);
});

test('the log says once that a limit is reached, without the name that was tried', () => {
  const warnings: string[] = [];
  const warn = (fields: object, message: string) => void warnings.push(`${message} ${JSON.stringify(fields)}`);
  const { throttle } = makeThrottle({}, { ...silentLogger, warn });
  failTimes(throttle, 4, 'a password in the wrong field', '10.0.0.1');
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /10\.0\.0\.1/);
  assert.doesNotMatch(warnings[0] ?? '', /wrong field/);
});

test('addresses of one IPv6 network count as one, IPv4 in IPv6 as IPv4', () => {
  assert.equal(networkOf('2001:db8:1:2:3:4:5:6'), networkOf('2001:DB8:1:2::9'));
  assert.notEqual(networkOf('2001:db8:1:2::1'), networkOf('2001:db8:1:3::1'));
  assert.equal(networkOf('2001:db8::1'), '2001:db8:0:0::/64');
  assert.equal(networkOf('::ffff:10.0.0.1'), '10.0.0.1');
  assert.equal(networkOf('::1'), '0:0:0:0::/64');
  assert.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0::/64');
  assert.equal(networkOf('10.0.0.1'), '10.0.0.1');
});
