// Application credentials: logins of programs, each of one user in one project.
import type { Selectable } from 'kysely';
import type { ApplicationCredentialId, ProjectId, UserId } from '../core/ids.ts';
import type { ApplicationCredential, Role } from '../core/model.ts';
import type { Scope } from './scope.ts';
import { type ApplicationCredentialTable, toFlag } from './tables.ts';

export class ApplicationCredentialRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(credential: ApplicationCredential): Promise<void> {
    const row = {
      credential_id: credential.credentialId,
      user_id: credential.userId,
      project_id: credential.projectId,
      name: credential.name,
      description: credential.description,
      secret_hash: credential.secretHash,
      roles: JSON.stringify(credential.roles),
      is_unrestricted: toFlag(credential.isUnrestricted),
      expires_at: credential.expiresAt,
      created_at: credential.createdAt,
    };
    await this.#scope.executor.insertInto('application_credentials').values(row).execute();
  }

  async get(credentialId: ApplicationCredentialId): Promise<ApplicationCredential | undefined> {
    const row = await this.#select().where('credential_id', '=', credentialId).executeTakeFirst();
    return row === undefined ? undefined : toCredential(row);
  }

  async findByName(userId: UserId, name: string): Promise<ApplicationCredential | undefined> {
    const row = await this.#select().where('user_id', '=', userId).where('name', '=', name).executeTakeFirst();
    return row === undefined ? undefined : toCredential(row);
  }

  /** By name; of one project when it is named. */
  async listByUser(userId: UserId, projectId?: ProjectId): Promise<ApplicationCredential[]> {
    const rows = await this.#select()
      .where('user_id', '=', userId)
      .$if(projectId !== undefined, (query) => query.where('project_id', '=', String(projectId)))
      .orderBy('name')
      .execute();
    return rows.map(toCredential);
  }

  async delete(credentialId: ApplicationCredentialId): Promise<void> {
    await this.#scope.executor
      .deleteFrom('application_credentials')
      .where('credential_id', '=', credentialId)
      .execute();
  }

  async deleteAll(filter: { readonly userId: UserId } | { readonly projectId: ProjectId }): Promise<void> {
    const query = this.#scope.executor.deleteFrom('application_credentials');
    const narrowed =
      'userId' in filter
        ? query.where('user_id', '=', filter.userId)
        : query.where('project_id', '=', filter.projectId);
    await narrowed.execute();
  }

  #select() {
    return this.#scope.executor.selectFrom('application_credentials').selectAll();
  }
}

function toCredential(row: Selectable<ApplicationCredentialTable>): ApplicationCredential {
  return {
    // Casts: `insert` alone writes rows, from values of these types.
    credentialId: row.credential_id as ApplicationCredentialId,
    userId: row.user_id as UserId,
    projectId: row.project_id as ProjectId,
    name: row.name,
    description: row.description,
    secretHash: row.secret_hash,
    roles: JSON.parse(row.roles) as Role[],
    isUnrestricted: row.is_unrestricted === 1,
    expiresAt: row.expires_at,
    createdAt: row.created_at,
  };
}
