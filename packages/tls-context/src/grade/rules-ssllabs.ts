import { rsaBitsOfCurve } from './groups.js'
import { caps, cipherScore, describe, hstsInvalid, isRsa, maxAgeOf, protocolScore, shortestHsts, strengthOf, suitesOf } from './rules-common.js'
import { scoreBelow, type Rules } from './rating.js'
import type { Scan } from './scan.js'

const keySteps = [[1, 0], [512, 20], [1024, 40], [2048, 80], [4096, 90]] as const

/**
 * Qualys SSL Labs' Server Rating Guide, version 2009r of 2025-05-16.
 *
 * @see https://github.com/ssllabs/research/wiki/SSL-Server-Rating-Guide
 */
export const sslLabs: Rules = {
  ruleset: 'ssllabs-2009r',
  zeroesUntrusted: false,
  scores: scan => ({ protocol: protocolScore(scan), keyExchange: keyExchangeScore(scan), cipher: cipherScore(scan, strengthOf) }),
  rules: [
    ...caps,
    hstsInvalid,
    // Where the issuer cannot even be looked for, nobody could complete the chain.
    { effect: 'cap', grade: 'B', code: 'CHAIN_INCOMPLETE', applies: ({ certificates }) => describe(certificates.find(({ faults, hasIssuerUrl }) => faults.includes('incomplete') && hasIssuerUrl), 'came without the intermediate certificate') },
    { effect: 'cap', grade: 'T', code: 'CERTIFICATE_UNTRUSTED', applies: ({ certificates }) => describe(certificates.find(({ faults, hasIssuerUrl }) => faults.includes('incomplete') && !hasIssuerUrl), 'was issued by an authority that is not trusted') },
    { effect: 'note', grade: 'A', code: 'HSTS_MISSING', applies: ({ strictTransportSecurity: header }) => (header === null || header === undefined) && 'HSTS is not there, without which there is no A+' },
    { effect: 'note', grade: 'A', code: 'HSTS_SHORT', applies: ({ strictTransportSecurity: header }) => isShort(header) && 'HSTS lasts less than six months, without which there is no A+' },
  ],
}

function isShort (header: string | null | undefined): boolean {
  const age = typeof header === 'string' ? maxAgeOf(header) ?? 0 : 0
  return age > 0 && age < shortestHsts
}

/** The weakest way to agree on a key: the certificate's, the groups' or the primes'. */
function keyExchangeScore (scan: Scan): number {
  const suites = suitesOf(scan)
  if (suites.some(({ keyExchange }) => keyExchange === 'anonymous')) return 0
  const ofCertificates = scan.certificates.map(({ keyType, keyBits }) => isRsa(keyType) ? keyBits : rsaBitsOfCurve(keyBits))
  const ofGroups = suites.some(({ keyExchange }) => keyExchange === 'ECDHE') ? scan.groups.map(({ rsaBits }) => rsaBits) : []
  const sizes = [...ofCertificates, ...ofGroups, ...scan.primeBits === undefined ? [] : [scan.primeBits], ...suites.some(({ isExport }) => isExport) ? [512] : []]
  return scoreBelow(Math.min(...sizes), keySteps)
}
