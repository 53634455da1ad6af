//! Many templates in the order in which a CPU reads memory fastest.

use crate::kernels::distance::squared_distances;
use crate::kernels::isa::Isa;

use super::template::{DIMENSIONS, FARTHEST, Template, distance_of};

/// Distances that are computed before any of them is looked at: they stay in registers and the nearest cache.
const BLOCK: usize = 64;

/// Templates one after the other, each 128 bytes.
#[derive(Debug, Clone)]
pub struct TemplateTable {
    isa: Isa,
    embeddings: Vec<[i8; DIMENSIONS]>,
    embedding_ids: Vec<u32>,
}

impl Default for TemplateTable {
    fn default() -> Self {
        Self { isa: Isa::best(), embeddings: Vec::new(), embedding_ids: Vec::new() }
    }
}

impl TemplateTable {
    /// Adds a template at the end.
    pub fn push(&mut self, template: &Template) {
        self.embeddings.push(template.embedding);
        self.embedding_ids.push(template.embedding_id);
    }

    /// Forgets all templates, and keeps the memory.
    pub fn clear(&mut self) {
        self.embeddings.clear();
        self.embedding_ids.clear();
    }

    /// Tells `each` the number of every template and its distance to `probe`, as [`Template::distance`] gives it,
    /// in the order in which they were added. Allocates nothing.
    pub fn compare(&self, probe: &Template, mut each: impl FnMut(usize, f32)) {
        let mut distances = [0; BLOCK];
        for (block, embeddings) in self.embeddings.chunks(BLOCK).enumerate() {
            let distances = &mut distances[..embeddings.len()];
            squared_distances(self.isa, &probe.embedding, embeddings, distances);
            for (i, &distance) in distances.iter().enumerate() {
                let number = block * BLOCK + i;
                let same = self.embedding_ids[number] == probe.embedding_id;
                each(number, if same { distance_of(distance) } else { FARTHEST });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_distance_is_that_of_the_two_templates_alone() {
        let template = |seed: i32, embedding_id| {
            let output: [i8; 128] = std::array::from_fn(|i| ((i as i32 * 37 + seed * 91) % 201 - 100) as i8);
            Template::from_output(&output, 0, 0, embedding_id).unwrap()
        };
        let templates: Vec<Template> =
            (0..150).map(|seed| template(seed, u32::from(seed % 7 == 0))).collect();
        let mut table = TemplateTable::default();
        templates.iter().for_each(|template| table.push(template));
        let probe = template(200, 0);
        let mut next = 0;
        table.compare(&probe, |number, distance| {
            assert_eq!((number, distance), (next, templates[next].distance(&probe)));
            next += 1;
        });
        assert_eq!(next, templates.len());
    }
}
