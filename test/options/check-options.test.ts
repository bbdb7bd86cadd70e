import { test } from 'tap'
import { arrayOf, boolean, func, integer, nearest, nested, oneOf, optionChecker, secret, string } from '@fastkeep/options'

const checkOptions = optionChecker('some-package')

const rules = {
  name: string(),
  limit: integer(1, 1024, 'bytes'),
  on: boolean,
  mode: oneOf(['lax', 'strict', false]),
  keys: secret(arrayOf(string('32 bytes in base64', /^.{44}$/))),
  hook: func,
  cookie: nested({ path: string() }),
}

test('options that fit their rules pass, and undefined counts as not given', async t => {
  t.doesNotThrow(() => checkOptions({ name: 'a', limit: 1024, on: false, mode: false, hook: () => {}, cookie: { path: '/' } }, rules))
  t.doesNotThrow(() => checkOptions({ name: undefined }, rules))
})

test('a misspelt key is refused with the nearest valid one', async t => {
  t.throws(() => checkOptions({ limti: 1 }, rules), {
    code: 'FST_KEEP_SOME_PACKAGE_OPTION_UNKNOWN',
    message: 'some-package: unknown option "limti", did you mean "limit"?',
    exitCode: 78,
  })
})

test('a key that is near to nothing is refused with the list of all', async t => {
  t.throws(() => checkOptions({ somethingElse: 1 }, rules), { message: /There are: name, limit, on/ })
})

test('where there are no options, the refusal says so', async t => {
  t.throws(() => checkOptions({ any: 1 }, {}), { message: 'some-package: unknown option "any", it takes none' })
})

test('a key of Object.prototype is unknown like any other', async t => {
  t.throws(() => checkOptions({ constructor: 1 }, rules), { code: 'FST_KEEP_SOME_PACKAGE_OPTION_UNKNOWN' })
  t.throws(() => checkOptions(JSON.parse('{"__proto__": 1}'), rules), { code: 'FST_KEEP_SOME_PACKAGE_OPTION_UNKNOWN' })
})

test('a value out of range is named with its range and unit', async t => {
  for (const limit of [0, 1025, 1.5, '12', null, NaN]) {
    t.throws(() => checkOptions({ limit }, rules), {
      code: 'FST_KEEP_SOME_PACKAGE_OPTION_INVALID',
      message: /option "limit" must be a whole number of bytes from 1 to 1024, got /,
    })
  }
})

test('the error reads well for measures and for other things', async t => {
  t.equal(integer(1, 9, 'ms').expected, 'a whole number of ms from 1 to 9')
  t.equal(integer(0, 65_535, 'TCP ports').expected, 'a whole number from 0 to 65535 (TCP ports)')
})

test('of an array the entry at fault is shown with its index, and its nearest valid value', async t => {
  const names = { names: arrayOf(string('a name', /^[a-z]+$/)), modes: arrayOf(oneOf(['lax', 'strict'])) }
  t.throws(() => checkOptions({ names: ['a', '*.b', '?'] }, names), { message: /"names" must be an array, .* a name, got "\*\.b" at index 1$/ })
  t.throws(() => checkOptions({ modes: ['lax', 'stict'] }, names), { message: /got "stict" at index 1, did you mean "strict"\?$/ })
  t.throws(() => checkOptions({ names: [['a']] }, names), { message: /got an array of 1 at index 0$/ })
  t.throws(() => checkOptions({ names: [] }, names), { message: /got an array of 0$/ })
  t.throws(() => checkOptions({ names: 'a' }, names), { message: /got "a"$/ })
})

test('the entries of an array of nested objects are checked one by one', async t => {
  const users = { users: arrayOf(nested({ name: string(), age: integer(0, 150, 'years') })) }
  t.doesNotThrow(() => checkOptions({ users: [{ name: 'ada' }, { name: 'grace', age: 85 }] }, users))
  t.throws(() => checkOptions({ users: [{ name: 'ada' }, { nmae: 'grace' }] }, users), { code: 'FST_KEEP_SOME_PACKAGE_OPTION_UNKNOWN', message: /unknown option "users\[1\]\.nmae", did you mean "name"\?/ })
  t.throws(() => checkOptions({ users: [{ age: 151 }] }, users), { code: 'FST_KEEP_SOME_PACKAGE_OPTION_INVALID', message: /option "users\[0\]\.age" must be .*, got 151/ })
  t.throws(() => checkOptions({ users: [{}, 'grace'] }, users), { message: /got "grace" at index 1$/ })
})

test('an array with holes is refused', async t => {
  for (const names of [Array<string>(1), ['a', , 'b']]) { // eslint-disable-line no-sparse-arrays
    t.throws(() => checkOptions({ names }, { names: arrayOf(string()) }), { code: 'FST_KEEP_SOME_PACKAGE_OPTION_INVALID', message: /got undefined at index [01]$/ })
  }
})

test('a nested object is a plain one, since the entries of another would go unchecked', async t => {
  class Cookie { path = 7 }
  const refusals: ReadonlyArray<readonly [object, string]> = [
    [new Map([['paht', '/']]), 'an instance of Map'], [new Cookie(), 'an instance of Cookie'], [new Date(), 'an instance of Date'],
    [Object.create({ paht: '/' }) as object, 'an instance of Object'], [Object.create(Object.create(null) as object) as object, 'an instance of a class'],
  ]
  for (const [cookie, got] of refusals) {
    t.throws(() => checkOptions({ cookie }, rules), { code: 'FST_KEEP_SOME_PACKAGE_OPTION_INVALID', message: `some-package: option "cookie" must be an object of options, got ${got}` })
  }
  t.doesNotThrow(() => checkOptions({ cookie: Object.assign(Object.create(null) as object, { path: '/' }) }, rules))
})

test('a misspelt value is refused with the nearest valid one', async t => {
  t.throws(() => checkOptions({ mode: 'Stict' }, rules), { message: /must be "lax" or "strict" or false, got "Stict", did you mean "strict"\?/ })
})

test('a nested key is named with its path', async t => {
  t.throws(() => checkOptions({ cookie: { paht: '/' } }, rules), { message: /unknown option "cookie\.paht", did you mean "path"\?/ })
  t.throws(() => checkOptions({ cookie: [] }, rules), { message: /option "cookie" must be an object of options, got an array of 0/ })
})

test('a secret is never shown', async t => {
  try {
    checkOptions({ keys: ['hunter2'] }, rules)
    t.fail('it must be refused')
  } catch (error) {
    t.notMatch(String(error), /hunter2/)
    t.match(String(error), /option "keys" must be an array, not empty, of entries that are each 32 bytes in base64, got a string \(not shown: it is secret\) at index 0/)
  }
  t.throws(() => checkOptions({ keys: ['hunter2'] }, { keys: arrayOf(secret(string('long', /^.{44}$/))) }), { message: /got a string \(not shown: it is secret\) at index 0$/ })
  t.throws(() => checkOptions({ keys: 'hunter2' }, rules), { message: /got a string \(not shown: it is secret\)/ })
})

test('letters that changed places are the likeliest mistake', async t => {
  t.equal(nearest('SIGTREM', ['SIGTRAP', 'SIGTERM']), 'SIGTERM')
  t.equal(nearest('something', []), undefined)
})
