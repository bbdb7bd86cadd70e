import { test, type Test } from 'tap'
import { RespawnBackoff } from '../../packages/engine/src/supervisor/respawn-backoff.js'

function pauses (served: readonly number[]): number[] {
  const backoff = new RespawnBackoff()
  return served.map(ms => backoff.next(1, ms))
}

function areNear (t: Test, found: readonly number[], wanted: readonly number[]): void {
  const isNear = (ms: number, longest: number): boolean => ms <= longest && ms >= longest * 3 / 4
  t.ok(found.length === wanted.length && found.every((ms, index) => isNear(ms, wanted[index] as number)), found.join(' '))
}

test('a place whose workers do not come to serve is filled after growing pauses, of 30 s at most', async t => {
  areNear(t, pauses(Array(12).fill(0)), [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000])
})

test('one whose workers serve, however shortly, is filled within 400 ms', async t => {
  areNear(t, pauses(Array(8).fill(500)), [0, 100, 200, 400, 400, 400, 400, 400])
})

test('a failed start after workers that served waits no longer than the next step', async t => {
  areNear(t, pauses([500, 500, 500, 500, 500, 500, 0, 0]), [0, 100, 200, 400, 400, 400, 800, 1_600])
})

test('a worker that has served for a second counts as the first one', async t => {
  areNear(t, pauses([0, 0, 0, 1_000, 0]), [0, 100, 200, 0, 100])
})
