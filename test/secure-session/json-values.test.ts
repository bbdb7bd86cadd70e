import { test } from 'tap'
import { assertJson } from '../../packages/secure-session/src/json-values.js'

const notJson = 'FST_KEEP_SECURE_SESSION_VALUE_NOT_JSON'
const tooLarge = 'FST_KEEP_SECURE_SESSION_TOO_LARGE'

class Items extends Array<number> {}

function nested (levels: number): unknown {
  return JSON.parse('['.repeat(levels) + ']'.repeat(levels))
}

/** An array that counts how often an entry of it is read. */
function counting (length: number): { array: unknown[], reads: () => number } {
  let reads = 0
  const array = new Proxy(new Array<unknown>(length).fill([]), {
    get (target, name, receiver) {
      if (typeof name === 'string' && /^\d+$/.test(name)) reads++
      return Reflect.get(target, name, receiver) as unknown
    },
  })
  return { array, reads: () => reads }
}

test('32 levels of arrays and objects pass, one more is refused', async t => {
  t.doesNotThrow(() => assertJson({ note: nested(32) }, 4096))
  t.throws(() => assertJson({ note: nested(33) }, 4096), { code: notJson, message: /is more than 32 levels deep/ })
})

test('a value of any depth is refused and never exhausts the stack', async t => {
  let deep: unknown = []
  for (let level = 0; level < 100_000; level++) deep = level % 2 === 0 ? [deep] : { deep }
  t.throws(() => assertJson({ note: deep }, 4096), { code: notJson })
})

test('of a value that fits into no cookie no more is looked at than a cookie has bytes', async t => {
  const { array, reads } = counting(100_000)
  t.throws(() => assertJson({ note: array }, 4096), { code: tooLarge, message: /up to field "note/, limit: 4096 })
  t.ok(reads() <= 4096, `${reads()} entries were read`)
})

test('what grows by being referred to many times is refused as soon', async t => {
  let doubled: unknown = ['leaf']
  for (let level = 0; level < 30; level++) doubled = [doubled, doubled]
  t.throws(() => assertJson({ note: doubled }, 4096), { code: tooLarge })
})

test('names and strings count by their length, over all fields together', async t => {
  t.throws(() => assertJson({ note: 'x'.repeat(4096) }, 4096), { code: tooLarge })
  t.throws(() => assertJson({ note: { ['x'.repeat(4096)]: 1 } }, 4096), { code: tooLarge })
  t.throws(() => assertJson({ ['x'.repeat(4096)]: 1 }, 4096), { code: tooLarge, message: /up to field "x{80}"/ })
  t.doesNotThrow(() => assertJson({ a: 'x'.repeat(2000) }, 4096))
  t.throws(() => assertJson({ a: 'x'.repeat(2000), b: 'x'.repeat(2000), c: 'x'.repeat(2000) }, 4096), { code: tooLarge, message: /up to field "c"/ })
})

test('what does not come back from JSON as it went in is refused by the name of its field', async t => {
  const refused: Array<[unknown, RegExp]> = [
    [-0, /"note" is -0/],
    [[1, -0], /"note\[1\]" is -0/],
    [Items.from([1]), /a Items/],
    [Object.assign([1], { toJSON: () => 'else' }), /"note" is an object with a method toJSON/],
    [Object.defineProperty({}, 'toJSON', { value: () => 5 }), /a method toJSON/],
    [Object.assign(Object.create(null) as object, { toJSON: () => 5 }), /a method toJSON/],
    [Object.assign([1], { extra: 1 }), /an array with other properties/],
    [Object.defineProperty({}, 'hidden', { value: 1 }), /"note\.hidden" is a property that is not enumerable/],
    [{ get now () { return 1 } }, /"note\.now" is a getter or setter/],
    [new Array(3), /"note\[0\]" is undefined/],
  ]
  for (const [note, message] of refused) t.throws(() => assertJson({ note }, 4096), { code: notJson, message }, String(message))
})

test('a toJSON that a library gave to every array is found', async t => {
  // eslint-disable-next-line no-extend-native
  Object.defineProperty(Array.prototype, 'toJSON', { value: () => 'else', configurable: true })
  t.teardown(() => Reflect.deleteProperty(Array.prototype, 'toJSON'))
  t.throws(() => assertJson({ note: [1] }, 4096), { code: notJson, message: /a method toJSON/ })
})

test('data by the name of toJSON, and one object in two places, pass', async t => {
  const twice = { n: 1 }
  t.doesNotThrow(() => assertJson({ note: { toJSON: 'text', list: [twice, twice] }, zero: 0, gone: { no: undefined } }, 4096))
})
