import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { resolve } from 'node:path'
import type { Rule } from '@fastkeep/options'
import { systemCode, tlsContextError } from '../errors.js'
import { readRegularFile, UnfitFile } from './regular-file.js'

/** A file path, or PEM text (a string with a `-----BEGIN` line), or the bytes of PEM text. */
export type PemSource = string | Uint8Array

export const pemSource: Rule = {
  expected: 'a file path, PEM text, or a Buffer of PEM text',
  accepts: value => (typeof value === 'string' || value instanceof Uint8Array) && value.length > 0,
}

export interface LoadedCertificates {
  /** The certificates alone, as PEM: whatever else the file holds is left out. */
  readonly pem: string
  /** In the order of the file. */
  readonly chain: readonly [X509Certificate, ...X509Certificate[]]
}

export interface LoadedKey {
  /** As it was given: an encrypted key stays encrypted. */
  readonly pem: string
  readonly privateKey: KeyObject
}

export function loadCertificates (source: PemSource): LoadedCertificates {
  const { text, name } = readPem(source, 'cert')
  const blocks = pemBlocks(text)
  const pems = blocks.filter(({ label }) => label === 'CERTIFICATE').map(({ pem }) => pem)
  const chain = pems.map((pem, index) => {
    try {
      return new X509Certificate(pem)
    } catch (error) {
      throw tlsContextError('CERTIFICATE_INVALID', `option "cert": certificate ${index + 1} of ${pems.length} in ${name} is damaged (${systemCode(error)}). Copy it anew from where it was issued`)
    }
  })
  const [leaf, ...rest] = chain
  if (leaf === undefined) throw notPem('cert', name, 'CERTIFICATE', text, blocks)
  return { pem: pems.join('\n') + '\n', chain: [leaf, ...rest] }
}

export function loadPrivateKey (source: PemSource, passphrase?: string): LoadedKey {
  const { text, name } = readPem(source, 'key')
  const blocks = pemBlocks(text)
  const block = blocks.find(({ label }) => label.endsWith('PRIVATE KEY'))
  if (block === undefined) throw notPem('key', name, 'PRIVATE KEY', text, blocks)

  // OpenSSL reports a missing passphrase and a wrong one alike.
  const isEncrypted = block.label === 'ENCRYPTED PRIVATE KEY' || block.pem.includes('Proc-Type: 4,ENCRYPTED')
  if (isEncrypted && passphrase === undefined) {
    throw tlsContextError('PASSPHRASE_MISSING', `option "key": the key in ${name} is encrypted. Give its passphrase as option "passphrase"`)
  }
  try {
    return { pem: block.pem + '\n', privateKey: createPrivateKey({ key: block.pem, passphrase }) }
  } catch (error) {
    const code = systemCode(error)
    // About one wrong passphrase in 200 decrypts to something, which then fails as ERR_OSSL_UNSUPPORTED; a cipher that
    // OpenSSL 3 no longer has fails as ERR_OSSL_EVP_UNSUPPORTED.
    if (isEncrypted && code !== 'ERR_OSSL_EVP_UNSUPPORTED') {
      throw tlsContextError('PASSPHRASE_WRONG', `option "passphrase" does not open the key in ${name} (${code}). Give the passphrase that the key was encrypted with`)
    }
    throw tlsContextError('KEY_INVALID', `option "key": OpenSSL cannot read the ${block.label} in ${name} (${code}): it is damaged, or of a kind that is not supported. Convert it with: openssl pkcs8 -topk8 -v2 aes-256-cbc`)
  }
}

interface PemBlock {
  readonly label: string
  readonly pem: string
}

function pemBlocks (text: string): PemBlock[] {
  return [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[^]*?-----END \1-----/g)]
    .map(([pem, label = '']) => ({ label, pem }))
}

function readPem (source: PemSource, option: string): { text: string, name: string } {
  if (typeof source !== 'string') return { text: Buffer.from(source).toString(), name: 'the given Buffer' }
  if (source.includes('-----BEGIN')) return { text: source, name: 'the given text' }
  const path = resolve(source)
  try {
    return { text: readRegularFile(path).text, name: path }
  } catch (error) {
    if (error instanceof UnfitFile) {
      throw tlsContextError('FILE_NOT_READABLE', `option "${option}": ${path} ${error.message}. Give the path of a PEM file, or PEM text`)
    }
    const code = systemCode(error)
    // No path has line breaks or is that long.
    if (/[\r\n\0]/.test(source) || code === 'ENAMETOOLONG') throw notPem(option, 'the given text', option === 'key' ? 'PRIVATE KEY' : 'CERTIFICATE', source, [])
    const shown = mayBeKeyMaterial(source) ? 'the given text (not shown: it may be a key without its PEM lines)' : path
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw tlsContextError('FILE_NOT_FOUND', `option "${option}": no such file: ${shown} (${code}). Give the path of a PEM file, or PEM text with its "-----BEGIN" and "-----END" lines`)
    }
    throw tlsContextError('FILE_NOT_READABLE', `option "${option}": cannot read ${shown} (${code}). Give the user that runs this process the right to read it`)
  }
}

/** A key that lost its PEM lines is taken for a path, which the error would show. A path can look like that too. */
function mayBeKeyMaterial (source: string): boolean {
  return /[A-Za-z0-9+/=]{60,}/.test(source)
}

function notPem (option: string, name: string, label: string, text: string, blocks: readonly PemBlock[]): Error {
  const found = blocks.length === 0 ? 'no PEM at all' : `only ${blocks.map(block => block.label).join(', ')}`
  const fault = text.trim() === ''
    ? 'is empty'
    : `holds ${found}. Convert DER or PKCS#12 with openssl, and see that "cert" and "key" are not swapped`
  return tlsContextError('NOT_PEM', `option "${option}": ${name} must hold a PEM block "-----BEGIN ${label}-----" and ${fault}`)
}
