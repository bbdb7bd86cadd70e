import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ExitCode, type Given } from '@fastkeep/engine'
import type { CertificateRequestOptions, KeyDerivation } from '@fastkeep/tls-context'
import { flagValue, type Command } from '../command.js'
import { JSON_FLAG } from '../command-options.js'
import { UsageError } from '../errors.js'
import { CERT_OPTIONS } from '../tls-options.js'

/** Flags that the other kind has no use for. */
const OF_REQUESTS = ['keyType', 'organization']
const OF_DEVELOPMENT = ['days', 'renew']

export const cert: Command = {
  name: 'cert',
  summary: 'make a certificate for development, or a key and a request for a real one',
  details: `Without --request: ca.pem, cert.pem and key.pem for localhost or the names given, kept while they are good. The
authority can vouch for these names alone, and its key is gone already. With --request: request.pem for an authority,
and key.pem, which stays here and is never replaced.`,
  operands: [{ name: 'name', isOptional: true, isRepeated: true }],
  flags: { ...JSON_FLAG, ...CERT_OPTIONS },
  run: async ({ flags, operands, terminal }) => {
    const isRequest = flagValue(flags, 'request') === true
    refuse(flags, isRequest ? OF_DEVELOPMENT : OF_REQUESTS, isRequest ? 'a certificate for development' : 'a request (--request)')
    if (isRequest && operands.length === 0) throw new UsageError('cert: --request needs the names that the certificate is to cover, e.g. fastkeep cert --request example.org')
    const made = isRequest ? await makeRequest(flags, operands) : await makeCertificate(flags, operands)
    if (flagValue(flags, 'json') === true) terminal.print(JSON.stringify(made.result))
    else terminal.print(made.text)
    return ExitCode.OK
  },
}

interface Made {
  readonly result: object
  readonly text: string
}

async function makeCertificate (flags: readonly Given[], names: readonly string[]): Promise<Made> {
  const { createDevelopmentCertificate, developmentCertificate } = await import('@fastkeep/tls-context')
  const make = flagValue(flags, 'renew') === true ? createDevelopmentCertificate : developmentCertificate
  const days = flagValue(flags, 'days')
  const made = await make({
    directory: directoryOf(flags),
    ...names.length > 0 && { names },
    ...days !== undefined && { days: days as number },
    ...encryptionOf(flags),
  })
  const { ca, cert, key, created, validTo } = made
  const [first = 'localhost'] = names
  return {
    result: made,
    text: `${created ? 'made' : 'kept: it is still good'}, valid until ${validTo.toISOString().slice(0, 10)}
ca    ${ca}
cert  ${cert}
key   ${key}
Have clients trust ca.pem, e.g. curl --cacert ${ca} https://${first.includes(':') ? `[${first}]` : first}:8443/`,
  }
}

async function makeRequest (flags: readonly Given[], names: readonly string[]): Promise<Made> {
  const { createCertificateRequest } = await import('@fastkeep/tls-context')
  const [keyType, organization] = ['keyType', 'organization'].map(path => flagValue(flags, path) as string | undefined)
  const made = await createCertificateRequest({
    directory: directoryOf(flags),
    names,
    ...keyType !== undefined && { key: keyType as NonNullable<CertificateRequestOptions['key']> },
    ...organization !== undefined && { organization },
    ...encryptionOf(flags),
  })
  return {
    result: made,
    text: `request  ${made.request}
key      ${made.key}
Give request.pem to an authority; key.pem stays here.`,
  }
}

function directoryOf (flags: readonly Given[]): string {
  return flagValue(flags, 'directory') as string | undefined ?? CERT_OPTIONS.directory?.default as string
}

function encryptionOf (flags: readonly Given[]): { passphrase?: string, keyDerivation?: KeyDerivation } {
  const file = flagValue(flags, 'passphraseFile') as string | undefined
  const derivation = flagValue(flags, 'keyDerivation') as KeyDerivation | undefined
  if (file === undefined) {
    if (derivation !== undefined) throw new UsageError('cert: --key-derivation is for an encrypted key: give --passphrase-file too')
    return {}
  }
  return { passphrase: firstLineOf(file), ...derivation !== undefined && { keyDerivation: derivation } }
}

function firstLineOf (file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UsageError(`cert: cannot read the passphrase from ${resolve(file)}: ${(cause as NodeJS.ErrnoException).code}`)
  }
  const [line = ''] = text.split(/\r?\n/, 1)
  if (line === '') throw new UsageError(`cert: the first line of ${resolve(file)} is empty, and the passphrase is to stand there`)
  return line
}

function refuse (flags: readonly Given[], paths: readonly string[], what: string): void {
  const given = flags.find(({ path }) => paths.includes(path))
  if (given !== undefined) throw new UsageError(`cert: ${given.origin} is for ${what}`)
}
