/**
 * Key exchange groups and the size of an RSA key that is as hard to break (NIST SP 800-57 part 1, table 2). A hybrid
 * counts as its classical part, as SSL Labs counts it.
 *
 * @see https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-8
 */
export interface Group {
  readonly number: number
  readonly name: string
  readonly rsaBits: number
  readonly isHybrid: boolean
}

const table: ReadonlyArray<readonly [number: number, name: string, rsaBits: number]> = [
  [0x11ec, 'X25519MLKEM768', 3072],
  [0x11eb, 'SecP256r1MLKEM768', 3072],
  [0x11ed, 'SecP384r1MLKEM1024', 7680],
  [0x6399, 'X25519Kyber768Draft00', 3072],
  [0x0200, 'MLKEM512', 3072],
  [0x0201, 'MLKEM768', 7680],
  [0x0202, 'MLKEM1024', 15360],
  [0x001d, 'x25519', 3072],
  [0x0017, 'secp256r1', 3072],
  [0x0018, 'secp384r1', 7680],
  [0x0019, 'secp521r1', 15360],
  [0x001e, 'x448', 7680],
  [0x001a, 'brainpoolP256r1', 3072],
  [0x001b, 'brainpoolP384r1', 7680],
  [0x001c, 'brainpoolP512r1', 15360],
  [0x001f, 'brainpoolP256r1tls13', 3072],
  [0x0020, 'brainpoolP384r1tls13', 7680],
  [0x0021, 'brainpoolP512r1tls13', 15360],
  [0x0029, 'curveSM2', 3072],
  [0x0016, 'secp256k1', 3072],
  [0x0015, 'secp224r1', 2048],
  [0x0014, 'secp224k1', 2048],
  [0x0013, 'secp192r1', 1536],
  [0x0012, 'secp192k1', 1536],
  [0x0011, 'secp160r2', 1024],
  [0x0010, 'secp160r1', 1024],
  [0x000f, 'secp160k1', 1024],
  [0x000e, 'sect571r1', 15360],
  [0x000d, 'sect571k1', 15360],
  [0x000c, 'sect409r1', 7680],
  [0x000b, 'sect409k1', 7680],
  [0x000a, 'sect283r1', 3072],
  [0x0009, 'sect283k1', 3072],
  [0x0008, 'sect239k1', 2048],
  [0x0007, 'sect233r1', 2048],
  [0x0006, 'sect233k1', 2048],
  [0x0005, 'sect193r2', 1536],
  [0x0004, 'sect193r1', 1536],
  [0x0003, 'sect163r2', 1024],
  [0x0002, 'sect163r1', 1024],
  [0x0001, 'sect163k1', 1024],
  [0x0100, 'ffdhe2048', 2048],
  [0x0101, 'ffdhe3072', 3072],
  [0x0102, 'ffdhe4096', 4096],
  [0x0103, 'ffdhe6144', 6144],
  [0x0104, 'ffdhe8192', 8192],
]

export const groups: readonly Group[] = table.map(([number, name, rsaBits]) => ({ number, name, rsaBits, isHybrid: /MLKEM|Kyber/.test(name) }))

export function groupByNumber (number: number): Group {
  return groups.find(group => group.number === number) ?? { number, name: `group ${number}`, rsaBits: 3072, isHybrid: false }
}

/** The size of an RSA key that is as hard to break as an elliptic curve key of that many bits. */
export function rsaBitsOfCurve (bits: number): number {
  return bits >= 512 ? 15360 : bits >= 384 ? 7680 : bits >= 250 ? 3072 : bits >= 224 ? 2048 : bits >= 192 ? 1536 : bits >= 160 ? 1024 : 512
}
