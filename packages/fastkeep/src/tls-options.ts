import { arrayOf, boolean, integer, oneOf, string } from '@fastkeep/options'
import type { ConfigTable } from '@fastkeep/engine'
import { choice, list, plain, truth, wholeNumber } from './text-forms.js'

const path = { rule: string('a path'), text: plain }
const names = { rule: arrayOf(string('a host name')), text: list }

export const KEY_TYPES = ['P-256', 'P-384', 'RSA-2048', 'RSA-3072', 'RSA-4096'] as const
export const DERIVATIONS = ['scrypt', 'PBKDF2'] as const
export const GRADES = ['A+', 'A', 'A-', 'B', 'C', 'D', 'E', 'F'] as const
export const RULESETS = ['ssllabs-2009r', 'testssl'] as const

/** Flags of `cert`. */
export const CERT_OPTIONS: ConfigTable = {
  directory: { ...path, default: 'certificates' },
  days: { rule: integer(1, 825, 'days'), text: wholeNumber, default: 90 },
  renew: { rule: boolean, text: truth },
  request: { rule: boolean, text: truth },
  keyType: { rule: oneOf(KEY_TYPES), text: choice(KEY_TYPES), default: 'P-256' },
  organization: { rule: string(), text: plain },
  passphraseFile: path,
  keyDerivation: { rule: oneOf(DERIVATIONS), text: choice(DERIVATIONS), default: 'scrypt' },
}

/** Flags of `grade`. */
export const GRADE_OPTIONS: ConfigTable = {
  min: { rule: oneOf(GRADES), text: choice(GRADES) },
  ruleset: { rule: oneOf(RULESETS), text: choice(RULESETS), default: 'ssllabs-2009r' },
  servername: { rule: string('a host name'), text: plain },
  ca: { rule: arrayOf(string('a path')), text: list },
  timeout: { rule: integer(100, 60_000, 'ms'), text: wholeNumber, default: 3_000 },
}

/** Flags of `check` for certificates that no app has to load. */
export const CERTIFICATE_OPTIONS: ConfigTable = { cert: path, key: path, chain: path, pfx: path, passphraseFile: path, hosts: names }

/** What each of them means, in one line of help. */
export const TLS_FLAG_TEXTS: Readonly<Record<string, string>> = {
  directory: 'where the files are made',
  days: 'for which a development certificate is valid',
  renew: 'make a new development certificate although the one that is there is good',
  request: 'make a key and a request for a real authority, in place of a development certificate',
  keyType: 'the key of a request: P-256, P-384, RSA-2048, RSA-3072 or RSA-4096',
  organization: 'the organization in a request',
  passphraseFile: 'a file whose first line is the passphrase of the key',
  keyDerivation: 'how the passphrase of a new key becomes a key: scrypt or PBKDF2',
  min: 'the worst grade that is good enough; below it the exit code is 1',
  ruleset: 'ssllabs-2009r or testssl',
  servername: 'the name to ask for; without it the host',
  ca: 'roots to trust besides the usual ones',
  timeout: 'ms for each connection',
  cert: 'a certificate to check, with its chain',
  key: 'its key',
  chain: 'its chain, where that is a file of its own',
  pfx: 'the same in PKCS#12',
  hosts: 'names that it must cover',
}
