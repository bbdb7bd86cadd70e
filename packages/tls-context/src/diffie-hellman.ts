import { itemOf, readDer } from './certificates/der-read.js'
import { derOf, notPem, pemBlocks, readSource, type PemSource } from './certificates/pem.js'

const label = 'DH PARAMETERS'

/** `'auto'`, or the PEM block of the source. */
export function readDiffieHellman (source: PemSource): string {
  if (source === 'auto') return source
  const { bytes, name } = readSource(source, 'dhparam')
  const text = Buffer.from(bytes).toString()
  const block = pemBlocks(text).find(block => block.label.endsWith(label))
  if (block === undefined) throw notPem('dhparam', name, label, text)
  return block.pem
}

/** The size of the prime of PKCS#3 parameters. */
export function diffieHellmanBits (pem: string): number {
  const [block] = pemBlocks(pem)
  const prime = itemOf(readDer(derOf(block ?? { label, pem })), 0).content
  return BigInt(`0x${prime.toString('hex') || '0'}`).toString(2).length
}
