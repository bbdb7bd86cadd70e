import { caps, cipherScore, describe, hstsInvalid, isRsa, maxAgeOf, protocolScore, shortestHsts } from './rules-common.js'
import { scoreBelow, type Rules } from './rating.js'
import type { Scan } from './scan.js'

const rsaSteps = [[512, 20], [1024, 40], [2048, 80], [4096, 90]] as const
const curveSteps = [[110, 20], [123, 40], [163, 80], [225, 90]] as const

/**
 * The rating of testssl.sh 3.3: of key exchange it counts the certificate alone, triple DES has 168 bits, a server
 * without HSTS may have A+, and one that is not trusted has no scores.
 *
 * @see https://github.com/testssl/testssl.sh
 */
export const testssl: Rules = {
  ruleset: 'testssl',
  zeroesUntrusted: true,
  scores: scan => ({ protocol: protocolScore(scan), keyExchange: keyExchangeScore(scan), cipher: cipherScore(scan, ({ bits }) => bits) }),
  rules: [
    ...caps,
    hstsInvalid,
    { effect: 'cap', grade: 'B', code: 'CHAIN_INCOMPLETE', applies: ({ certificates }) => describe(certificates.find(({ faults }) => faults.includes('incomplete')), 'came without the certificate of its issuer') },
    { effect: 'warning', grade: 'A-', code: 'HSTS_SHORT', applies: ({ strictTransportSecurity: header }) => typeof header === 'string' && (maxAgeOf(header) ?? 0) > 0 && (maxAgeOf(header) ?? 0) < shortestHsts && 'HSTS lasts less than 180 days' },
  ],
}

function keyExchangeScore ({ certificates }: Scan): number {
  const scores = certificates.map(({ keyType, keyBits }) => isRsa(keyType) ? scoreBelow(keyBits, rsaSteps) : scoreBelow(keyBits, curveSteps))
  return scores.length === 0 ? 0 : Math.min(...scores)
}
