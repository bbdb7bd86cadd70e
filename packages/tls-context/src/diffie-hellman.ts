import { tlsContextError } from './errors.js'
import { itemOf, readDer } from './certificates/der-read.js'
import { derOf, notPem, pemBlocks, readSource, type PemSource } from './certificates/pem.js'

const label = 'DH PARAMETERS'

/** `'auto'`, or the PEM block of the source, and its file. */
export function readDiffieHellman (source: PemSource): { readonly pem: string, readonly path: string | undefined } {
  if (source === 'auto') return { pem: source, path: undefined }
  const { bytes, name, path } = readSource(source, 'dhparam')
  const text = Buffer.from(bytes).toString()
  const block = pemBlocks(text).find(block => block.label.endsWith(label))
  if (block === undefined) throw notPem('dhparam', name, label, text)
  return { pem: block.pem, path }
}

/** The size of the prime of PKCS#3 parameters. */
export function diffieHellmanBits (pem: string): number {
  const [block] = pemBlocks(pem)
  let prime: Buffer
  try {
    prime = itemOf(readDer(derOf(block ?? { label, pem })), 0).content
  } catch {
    throw tlsContextError('CERTIFICATE_INVALID', 'option "dhparam": the parameters are damaged. Make them anew: openssl dhparam 2048')
  }
  return BigInt(`0x${prime.toString('hex') || '0'}`).toString(2).length
}
