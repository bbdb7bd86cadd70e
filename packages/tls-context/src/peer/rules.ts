import { arrayOf, func, string, type OptionRules, type Rule } from '@fastkeep/options'
import { textOfName } from '../certificates/distinguished-name.js'
import { normalSerial, type PeerCertificate } from './peer-certificate.js'

/**
 * What a peer's certificate has to be. Of one rule any of its values will do; all rules that are given have to hold.
 * They are asked of certificates alone that are authorized.
 */
export interface PeerRules {
  /** In hexadecimal; colons, case and leading zeros do not matter. */
  serialNumber?: string | readonly string[]
  commonName?: string | readonly string[]
  /** A DNS name of the subjectAltName, exactly; `*.example.org` is that text and no pattern. */
  dns?: string | readonly string[]
  /** A URI of the subjectAltName, exactly, such as `spiffe://example.org/payments`. */
  uri?: string | readonly string[]
  /** An email address of the subjectAltName, exactly. */
  email?: string | readonly string[]
  /** The issuer's common name, or its whole name such as `C=NL, O=Example, CN=Clients`. */
  issuer?: string | readonly string[]
  organization?: string | readonly string[]
  /** SHA-256 of the SubjectPublicKeyInfo in base64. */
  spki?: string | readonly string[]
}

/**
 * Decides by itself: `true` or nothing lets the peer in, a text is the reason why not, `false` refuses without one.
 * What it throws refuses too.
 */
export type PeerDecision = (peer: PeerCertificate) => boolean | string | undefined | void | Promise<boolean | string | undefined | void>

/** Rules, several of which one has to hold, or a function. */
export type PeerVerify = PeerRules | readonly PeerRules[] | PeerDecision

type RuleName = keyof PeerRules

const valuesOf: Readonly<Record<RuleName, (peer: PeerCertificate) => readonly string[]>> = {
  serialNumber: ({ serialNumber }) => [serialNumber],
  commonName: ({ subject }) => attributes(subject, 'CN'),
  dns: ({ dns }) => dns.map(name => name.toLowerCase()),
  uri: ({ uri }) => uri,
  email: ({ email }) => email,
  issuer: ({ issuer }) => [textOfName(issuer), ...attributes(issuer, 'CN')],
  organization: ({ subject }) => attributes(subject, 'O'),
  spki: ({ spki }) => [spki],
}

/** What does not matter in a value that is wanted. */
const normalized: Partial<Record<RuleName, (value: string) => string>> = {
  serialNumber: normalSerial,
  dns: value => value.toLowerCase(),
}

const patterns: Partial<Record<RuleName, readonly [expected: string, pattern: RegExp]>> = {
  serialNumber: ['a serial number in hexadecimal', /^(0x)?[0-9a-f:\s]+$/i],
  spki: ['the SHA-256 of a SubjectPublicKeyInfo in base64', /^[A-Za-z0-9+/]{43}=$/],
}

export const peerRuleRules = Object.fromEntries((Object.keys(valuesOf) as RuleName[]).map(name => {
  const [expected, pattern] = patterns[name] ?? ['a string that is not empty', /[^]/]
  const one = string(expected, pattern)
  const several = arrayOf(one)
  return [name, { expected: `${expected}, or an array of them`, accepts: (value: unknown) => one.accepts(value) || several.accepts(value) }]
})) satisfies OptionRules

/** The rule of an option that takes rules, several, or a function. */
export function peerVerifyRule (verify: unknown): Rule {
  if (typeof verify === 'function') return func
  const isRules = (value: unknown): value is PeerRules => typeof value === 'object' && value !== null && !Array.isArray(value)
  const isGood = (value: unknown): boolean => isRules(value) && Object.keys(value).length > 0 &&
    Object.entries(value).every(([key, wanted]) => Object.hasOwn(peerRuleRules, key) && (peerRuleRules[key] as Rule).accepts(wanted))
  if (Array.isArray(verify)) return { expected: `an array of rules, each with one or more of ${Object.keys(peerRuleRules).join(', ')}`, accepts: value => Array.isArray(value) && value.length > 0 && value.every(isGood) }
  return { expected: `a function, or rules with one or more of ${Object.keys(peerRuleRules).join(', ')}`, accepts: isGood, rules: peerRuleRules }
}

/**
 * Makes the decision once; it is asked for each connection. `null` lets the peer in, a text is the reason why not.
 * Whoever is not authorized is refused before any rule, or anybody could write himself the names that are asked for.
 */
export function compileVerify (verify: PeerVerify | undefined): (peer: PeerCertificate) => string | null | Promise<string | null> {
  if (verify === undefined) return authorizationFault
  if (typeof verify === 'function') return peer => authorizationFault(peer) ?? decided(verify, peer)
  const alternatives = [verify].flat().map(rules => compileRules(rules as PeerRules))
  return peer => {
    const fault = authorizationFault(peer)
    if (fault !== null) return fault
    const faults = alternatives.map(rules => rules(peer))
    return faults.includes(null) ? null : faults.join('; ')
  }
}

function authorizationFault ({ authorized, authorizationError }: PeerCertificate): string | null {
  return authorized ? null : authorizationError ?? 'not verified'
}

async function decided (verify: PeerDecision, peer: PeerCertificate): Promise<string | null> {
  try {
    const answer = await verify(peer)
    if (answer === true || answer === undefined) return null
    return typeof answer === 'string' && answer !== '' ? answer : 'refused by the application'
  } catch {
    // What was thrown may hold anything, and the reason goes to the client.
    return 'the application failed to decide'
  }
}

function compileRules (rules: PeerRules): (peer: PeerCertificate) => string | null {
  const wanted = (Object.entries(rules) as Array<[RuleName, string | readonly string[]]>).map(([name, values]) => {
    const normalize = normalized[name] ?? (value => value)
    return [name, new Set([values].flat().map(value => normalize(value as string)))] as const
  })
  return peer => {
    const failed = wanted.find(([name, values]) => !valuesOf[name](peer).some(value => values.has(value)))
    return failed === undefined ? null : `its ${failed[0]} is not one of those that are allowed`
  }
}

function attributes (name: PeerCertificate['subject'], type: string): string[] {
  return name.filter(attribute => attribute.type === type).map(({ value }) => value)
}
