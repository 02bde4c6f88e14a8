// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Serves oidc-provider, a certified OpenID Connect issuer, with its own pages to log in
// at, which take any password. Its one argument is a file of JSON, as of ../dex.
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import Provider from 'oidc-provider'

const config = JSON.parse(readFileSync(process.argv[2]))

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })

const provider = new Provider(config.issuer, {
  clients: [{
    client_id: config.client,
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://127.0.0.1/callback'],
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    id_token_signed_response_alg: 'ES256'
  }],
  jwks: { keys: [{ ...key, alg: 'ES256', use: 'sig', kid: 'first' }] },
  cookies: { keys: [key.d] },
  claims: { email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'offline_access', 'email', 'groups'],
  conformIdTokenClaims: false,
  pkce: { required: () => true, methods: ['S256'] },
  features: { deviceFlow: { enabled: true }, revocation: { enabled: true } },
  findAccount (_, id) {
    const person = config.people.find(p => p.email === id)
    return person && {
      accountId: id,
      claims: () => ({ sub: `id-of-${person.name}`, email: id, email_verified: true, groups: person.groups })
    }
  }
})

const [host, port] = config.listen.split(':')
createServer({ cert: readFileSync(config.certificate), key: readFileSync(config.key) }, provider.callback()).listen(Number(port), host)
