import { createDecipheriv, hkdfSync, randomBytes, randomInt } from 'node:crypto'
import { test } from 'tap'
import { createKeyRing, deriveSubkey, type KeyRing } from '../../packages/secure-session/src/sealed/key-ring.js'
import { open, seal, type SealContext } from '../../packages/secure-session/src/sealed/seal.js'

const DAY = 86400
const now = 20_000 * DAY + DAY / 2
const keyBytes = randomBytes(32)
const ring = createKeyRing([keyBytes])
const context: SealContext = { ring, cookieName: '__Host-session', application: '', purpose: 'session', longestAge: DAY }

function altered (value: string, offset: number, change: (byte: number) => number): string {
  const bytes = Buffer.from(value, 'base64url')
  bytes[offset] = change(bytes[offset]!)
  return bytes.toString('base64url')
}

test('what was sealed opens, and twice the same text is never sealed to the same value', async t => {
  const value = seal(context, '{"user":"ada ☕"}', now)
  t.same(open(context, value, now), { text: '{"user":"ada ☕"}', keyId: ring.sealing.id, isKeyRetired: false })
  t.not(seal(context, '{"user":"ada ☕"}', now), value)
  t.match(value, /^[A-Za-z0-9_-]+$/)
})

test('the text cannot be read in the value', async t => {
  t.notMatch(Buffer.from(seal(context, 'user=ada', now), 'base64url').toString('latin1'), /ada/)
})

test('the format is: version, key id, day, nonce, ciphertext, tag; all in clear and both names are authenticated', async t => {
  const bytes = Buffer.from(seal({ ...context, application: 'shop' }, 'text', now), 'base64url')
  const header = bytes.subarray(0, 13)
  t.same(header, Buffer.concat([
    Buffer.of(1),
    Buffer.from(hkdfSync('sha256', keyBytes, '', 'fastkeep secure-session v1 key id', 8)),
    Buffer.of(0, 0, 20_000 >> 8, 20_000 & 0xff),
  ]))
  const subkey = Buffer.from(hkdfSync('sha256', keyBytes, '', '["fastkeep secure-session v1","session","__Host-session",20000]', 32))
  const decipher = createDecipheriv('aes-256-gcm', subkey, bytes.subarray(13, 25), { authTagLength: 16 })
  decipher.setAAD(Buffer.concat([header, Buffer.from('["__Host-session","shop"]')]))
  decipher.setAuthTag(bytes.subarray(-16))
  t.equal(decipher.update(bytes.subarray(25, -16), undefined, 'utf8') + decipher.final('utf8'), 'text')
})

test('a value is refused in any other context', async t => {
  const value = seal(context, 'text', now)
  const others: Array<Partial<SealContext>> = [
    { cookieName: '__Host-admin' },
    { cookieName: 'session' },
    { application: 'another' },
    { purpose: 'csrf' },
  ]
  for (const other of others) t.same(open({ ...context, ...other }, value, now), { refused: 'tampered' }, JSON.stringify(other))
})

test('a cookie name and an application that read the same together are not the same', async t => {
  const value = seal({ ...context, cookieName: 'ab', application: 'c' }, 'text', now)
  t.same(open({ ...context, cookieName: 'a', application: 'bc' }, value, now), { refused: 'tampered' })
})

test('a retired key opens and says so; the first one seals', async t => {
  const next: KeyRing = createKeyRing([randomBytes(32), keyBytes])
  t.same(open({ ...context, ring: next }, seal(context, 'text', now), now), { text: 'text', keyId: ring.sealing.id, isKeyRetired: true })
  const value = seal({ ...context, ring: next }, 'text', now)
  t.match(open({ ...context, ring: next }, value, now), { text: 'text', isKeyRetired: false })
  t.same(open(context, value, now), { refused: 'unknown-key' })
})

test('any other format version is refused', async t => {
  t.same(open(context, altered(seal(context, 'text', now), 0, byte => byte + 1), now), { refused: 'unknown-version' })
})

test('a changed day is refused although its sub-key exists', async t => {
  const value = seal(context, 'text', now)
  t.same(open(context, altered(value, 12, byte => byte - 1), now), { refused: 'tampered' })
})

test('a day ahead is refused before any sub-key is derived, but for a minute of clock skew', async t => {
  const value = seal(context, 'text', now + DAY)
  const counted = countingDerivations()
  t.same(open({ ...context, ring: counted.ring }, value, now), { refused: 'day-in-future' })
  t.equal(counted.derivations(), 0)
  const midnight = Math.ceil(now / DAY) * DAY
  t.match(open(context, value, midnight - 60), { text: 'text' })
  t.same(open(context, value, midnight - 61), { refused: 'day-in-future' })
})

test('a day too long ago is refused before any sub-key is derived', async t => {
  const value = seal(context, 'text', now)
  const endOfDay = Math.ceil(now / DAY) * DAY
  t.match(open(context, value, endOfDay + DAY - 1), { text: 'text' })
  const counted = countingDerivations()
  t.same(open({ ...context, ring: counted.ring }, value, endOfDay + DAY), { refused: 'expired' })
  t.equal(counted.derivations(), 0)
})

test('only canonical base64url is accepted', async t => {
  // 46 bytes: the last of 62 characters carries four spare bits.
  const value = seal(context, 'hello', now)
  t.equal(value.length % 4, 2)
  const last = value.at(-1)!
  const spare = last === 'A' ? 'B' : last === 'Q' ? 'R' : last === 'g' ? 'h' : 'x'
  for (const spelling of [`${value}=`, `${value}==`, ` ${value}`, `${value.slice(0, 9)}\n${value.slice(9)}`, `${value}.`, value.slice(0, -1) + spare]) {
    t.same(Buffer.from(spelling, 'base64url'), Buffer.from(value, 'base64url'), 'Node decodes it all the same')
    t.same(open(context, spelling, now), { refused: 'malformed' })
  }
})

test('a truncated or lengthened value is refused', async t => {
  const value = seal(context, 'a longer text', now)
  const bytes = Buffer.from(value, 'base64url')
  for (let length = 0; length < bytes.length; length++) {
    t.match(open(context, bytes.subarray(0, length).toString('base64url'), now), { refused: /malformed|tampered/ })
  }
  t.same(open(context, Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64url'), now), { refused: 'tampered' })
})

test('of 5,000 mutated values none is accepted and none throws', async t => {
  const value = seal(context, '{"user":"ada"}', now)
  const accepted: string[] = []
  for (let round = 0; round < 5000; round++) {
    const mutated = mutate(value)
    if (mutated !== value && !('refused' in open(context, mutated, now))) accepted.push(mutated)
  }
  t.same(accepted, [])
})

test('sub-keys differ by key, cookie name, purpose and day', async t => {
  const use = { cookieName: 'a', purpose: 'session', day: 1 }
  const other = createKeyRing([randomBytes(32)])
  const subkeys = [
    deriveSubkey(ring.sealing, use),
    deriveSubkey(other.sealing, use),
    deriveSubkey(ring.sealing, { ...use, cookieName: 'b' }),
    deriveSubkey(ring.sealing, { ...use, purpose: 'csrf' }),
    deriveSubkey(ring.sealing, { ...use, day: 2 }),
  ].map(subkey => subkey.export().toString('hex'))
  t.equal(new Set(subkeys).size, subkeys.length)
  t.notOk(subkeys.includes(keyBytes.toString('hex')))
})

test('a ring remembers the sub-keys in use and no more than 128', async t => {
  const bounded = createKeyRing([randomBytes(32)])
  const subkey = (day: number) => bounded.subkey(bounded.sealing, { cookieName: 'a', purpose: 'session', day })
  const first = subkey(0)
  t.equal(subkey(0), first)
  for (let day = 1; day < 128; day++) subkey(day)
  t.equal(subkey(0), first)
  subkey(128)
  const again = subkey(0)
  t.not(again, first)
  t.ok(again.equals(first))
})

function countingDerivations (): { ring: KeyRing, derivations: () => number } {
  let count = 0
  return { ring: { ...ring, subkey (...args) { count++; return ring.subkey(...args) } }, derivations: () => count }
}

function mutate (value: string): string {
  const bytes = Buffer.from(value, 'base64url')
  switch (randomInt(6)) {
    case 0: bytes[randomInt(bytes.length)]! ^= 1 << randomInt(8); return bytes.toString('base64url')
    case 1: return bytes.subarray(0, randomInt(bytes.length)).toString('base64url')
    case 2: return Buffer.concat([bytes, randomBytes(randomInt(1, 40))]).toString('base64url')
    case 3: return randomBytes(randomInt(200)).toString('base64url')
    case 4: return value.slice(0, randomInt(value.length)) + String.fromCharCode(randomInt(1, 0x3000)) + value.slice(randomInt(value.length))
    default: {
      const at = randomInt(bytes.length)
      return Buffer.concat([bytes.subarray(0, at), randomBytes(randomInt(1, 8)), bytes.subarray(at)]).toString('base64url')
    }
  }
}
