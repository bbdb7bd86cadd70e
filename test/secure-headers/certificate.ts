import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** A self-signed certificate for `example.test` and its key, in PEM, good for one day (RFC 5280 section 4.1). */
export function certificate (): { key: string, cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ecdsaWithSha256 = der(0x30, der(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
  const name = der(0x30, der(0x31, der(0x30, der(0x06, Buffer.from('550403', 'hex')), der(0x0c, Buffer.from('example.test')))))
  const subjectAltName = der(0x30, der(0x06, Buffer.from('551d11', 'hex')), der(0x04, der(0x30, der(0x82, Buffer.from('example.test')))))
  const tbsCertificate = der(0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1]), randomBytes(8)),
    ecdsaWithSha256,
    name,
    der(0x30, utcTime(Date.now() - 60_000), utcTime(Date.now() + 86_400_000)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(0x30, subjectAltName)))
  const signature = der(0x03, Buffer.from([0]), sign('sha256', tbsCertificate, privateKey))
  const base64 = der(0x30, tbsCertificate, ecdsaWithSha256, signature).toString('base64')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
  }
}

function der (tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const length = content.length
  const header = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(header), content])
}

function utcTime (ms: number): Buffer {
  return der(0x17, Buffer.from(new Date(ms).toISOString().replace(/^..|[-:T]|\..*(?=Z)/g, '')))
}
