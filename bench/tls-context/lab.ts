import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Lab {
  readonly directory: string
  readonly cert: string
  readonly key: string
  /** A second one of the same names. */
  readonly other: { readonly cert: string, readonly key: string }
}

/** Self-signed P-256 certificates that cover the names of the bench, as long as `use` runs. */
export async function withLab<Result> (use: (lab: Lab) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'fastkeep-bench-tls-'))
  try {
    return await use({ directory, ...make(directory, 'one'), other: make(directory, 'other') })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function make (directory: string, name: string): { cert: string, key: string } {
  const paths = { cert: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) }
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '90',
    '-subj', '/CN=bench', '-addext', 'subjectAltName=DNS:localhost,DNS:*.example.test', '-out', paths.cert, '-keyout', paths.key], { stdio: 'ignore' })
  return paths
}
