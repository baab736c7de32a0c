//! `GET /account/two-factor`

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use myelin_storage::{Enrolled, Factors};
use myelin_two_factor::Status;
use myelin_uia::Stage;
use serde_json::{Map, Value, json};

use crate::{App, call::Call, error::Error};

/// What the user has: never a secret, never a code.
pub(crate) async fn status(app: &App, call: Call) -> Result<Response, Error> {
    let identity = call.identity(app).await?;
    let factors = app.store().lookup_factors(&identity.user).await?;
    let required = app.settings().policy.requires(&identity.user);
    Ok(Json(json!({"providers": providers(&factors), "required": required})).into_response())
}

fn providers(factors: &Factors) -> Map<String, Value> {
    let mut providers = Map::new();
    let listed: Vec<_> =
        factors.authenticators.iter().filter(|a| a.status != Status::Pending).map(listed).collect();
    if !listed.is_empty() {
        providers.insert(Stage::Totp.as_str().to_owned(), json!({"authenticators": listed}));
    }
    if let Some(codes) = &factors.codes {
        let summary = json!({
            "remaining": codes.unused.len(),
            "total": codes.total,
            "generated_ts": codes.generated.as_millis(),
        });
        providers.insert(Stage::Recovery.as_str().to_owned(), summary);
    }
    providers
}

fn listed(authenticator: &Enrolled) -> Value {
    let mut entry = json!({
        "id": authenticator.id.as_str(),
        "name": authenticator.name.as_str(),
        "status": authenticator.status.as_str(),
        "created_ts": authenticator.created.as_millis(),
    });
    if let Some(used) = authenticator.last_used {
        entry["last_used_ts"] = used.as_millis().into();
    }
    entry
}
