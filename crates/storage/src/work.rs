//! What a verb does on a connection, as a value that can be handed to whoever
//! owns the connection.

use std::pin::Pin;

use crate::Error;

/// The verb at work on a connection.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'c>>;
